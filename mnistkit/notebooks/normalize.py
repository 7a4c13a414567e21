"""Executed notebooks brought into the one form in which they are committed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mnistkit.errors import NotebookError, needs_package

with needs_package("normalising notebooks", "lab"):
    import nbformat
    from nbformat import NotebookNode

from mnistkit.notebooks.execute import KERNEL, sources_digest
from mnistkit.utils.storage import write_text

_SLIDE_MARKS = ("slide_type", "answer", "text", "show")  # see mnistkit.notebooks.slides


def normalize(notebook: NotebookNode) -> NotebookNode:
    """Bring an executed notebook into the one form that is committed.

    Sequential ids and counts, no timing, no widget state, no papermill marks, and of the
    metadata only tags, what makes a slide of a cell, alt texts and widths, and which code was
    executed. Normalising twice changes nothing.
    """
    cells = [c for c in notebook.cells if "injected-parameters" not in _tags(c)]
    code_cells = [cell for cell in cells if cell.cell_type == "code"]
    for place, cell in enumerate(cells, start=1):
        cell["id"] = f"cell-{place:02d}"
        cell["metadata"] = _cell_metadata(cell)
    for count, cell in enumerate(code_cells, start=1):
        cell["execution_count"] = count if cell.source.strip() else None
        cell["outputs"] = _merged_streams(cell.outputs)
        for output in cell.outputs:
            if "execution_count" in output:
                output["execution_count"] = count
            if "metadata" in output:
                output["metadata"] = _image_metadata(output["metadata"])
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": KERNEL},
        "language_info": {"name": "python"},
    }
    own = notebook.metadata.get("mnistkit")
    if isinstance(own, Mapping) and "executed" in own:  # which code was executed
        metadata["mnistkit"] = {"executed": own["executed"]}
    clean = nbformat.v4.new_notebook(cells=cells, metadata=metadata, nbformat_minor=5)
    nbformat.validate(clean)
    return clean


def check_finished(notebook: NotebookNode, path: Path) -> None:
    """Raise NotebookError for a notebook that papermill did not execute to its end."""
    run = notebook.metadata.get("papermill") or {}
    if run.get("exception") or run.get("end_time", "unknown") is None:
        raise NotebookError(
            f"{path.name} was not executed to its end",
            where=path.parent,
            do="execute it again: `mnistkit run`",
        )


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook's file; raise NotebookError, with its name, for one that is none."""
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except (OSError, ValueError, AttributeError, TypeError, nbformat.ValidationError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise NotebookError(
            f"{path.name} is no notebook that can be read ({reason})",
            where=path.parent,
            do="leave it out, or save it anew from JupyterLab",
        ) from error
    return notebook


def normalize_file(path: Path, into: Path | None = None, *, replace: bool = False) -> bool:
    """Normalise a notebook file, in place or into a folder; returns whether that changed it.

    Raises NotebookError where another notebook of that name, with other text or code, is there
    already; `replace` replaces it.
    """
    target = into / path.name if into else path
    before = target.read_bytes() if target.exists() else b""
    notebook = read_notebook(path)
    check_finished(notebook, path)
    if before and not replace and sources_digest(read_notebook(target)) != sources_digest(notebook):
        raise NotebookError(
            f"another {path.name} is there already, with other cells",
            where=target.parent,
            do="name another folder, or say --replace",
        )
    after = nbformat.writes(normalize(notebook), version=4) + "\n"
    if after.encode() == before:  # bytes: other line ends are a change, too
        return False
    write_text(target, after)
    return True


def _merged_streams(outputs: Sequence[NotebookNode]) -> list[NotebookNode]:
    """Join what was printed in a row: where a kernel breaks it up is chance."""
    merged: list[NotebookNode] = []
    for output in outputs:
        last = merged[-1] if merged else {}
        if output.output_type == "stream" and last.get("name") == output.name:
            last["text"] += output.text
        else:
            merged.append(output)
    return merged


def _cell_metadata(cell: NotebookNode) -> NotebookNode:
    marks = cell.metadata.get("slideshow") or {}
    kept = {"tags": _tags(cell), "slideshow": {k: marks[k] for k in _SLIDE_MARKS if k in marks}}
    return nbformat.from_dict({key: value for key, value in kept.items() if value})


def _image_metadata(metadata: Mapping) -> NotebookNode:
    kept = {
        kind: {key: said[key] for key in ("alt", "width") if key in said}
        for kind, said in metadata.items()
        if "alt" in (said or {})
    }
    return nbformat.from_dict(kept)


def _tags(cell: NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))
