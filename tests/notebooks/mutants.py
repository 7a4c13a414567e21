"""How many small mistakes in the notebooks are noticed: a sample of mutants of code and numbers.

    python -m tests.notebooks.mutants        # 100 of them, half an hour on two cores

Half of them change one thing in a code cell (as `tests.mutants` does in the library), half the
last digit of a number that a cell printed. Each is tried against the contract and the
statements, and if those are content against nbval on a copy that reads few digits. Last comes
the stamp that says which code was executed: it notices any change of code, and so is counted
apart. Survivors are written to build/notebook-mutants.txt, to be read one by one.
"""

from __future__ import annotations

import ast
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

import click
import nbformat

from mnistkit.notebooks.suite import NBVAL
from tests import mutants
from tests.mutants import ROOT, copy_project, score

NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?![\w.]*\w)")
LONGEST = 900  # seconds of nbval on one notebook
STAMP = "outputs_are_of_the_code_above_them"  # the test of it


@dataclass(frozen=True)
class Mutant:
    """One change of one cell; kind: "code" or "number"; place counts the possible ones."""

    notebook: str
    cell: int
    kind: str
    place: int
    change: str


def find_mutants(path: Path, kind: str) -> list[Mutant]:
    """All mutants of a notebook, of one kind."""
    found = []
    for number, cell in enumerate(nbformat.read(path, as_version=4).cells):
        if cell.cell_type != "code" or "parameters" in cell.metadata.get("tags", []):
            continue
        if kind == "code":
            changes = [change for _, change, _ in mutants.changes(ast.parse(cell.source))]
        else:
            changes = [match[0] for _, match in _numbers(cell)]
        found += [Mutant(path.name, number, kind, k, change) for k, change in enumerate(changes)]
    return found


def _numbers(cell: nbformat.NotebookNode) -> list[tuple[object, re.Match]]:
    """Each number in words that the cell shows, with what holds the words."""
    holders = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if output.get("name") == "stdout":
            holders.append((output, "text"))
        elif "text/plain" in data and "image/png" not in data and "text/markdown" not in data:
            holders.append((data, "text/plain"))
    return [((where, key), match) for where, key in holders
            for match in NUMBER.finditer(where[key])]  # fmt: skip


def mutate(path: Path, mutant: Mutant) -> str:
    """Change the notebook's file; return the line that was changed, as it was."""
    notebook = nbformat.read(path, as_version=4)
    cell = notebook.cells[mutant.cell]
    if mutant.kind == "code":
        tree = ast.parse(cell.source)
        line, _, apply = list(mutants.changes(tree))[mutant.place]
        was = cell.source.splitlines()[line - 1]
        apply()
        cell.source = ast.unparse(ast.fix_missing_locations(tree))
    else:
        (where, key), match = _numbers(cell)[mutant.place]
        text, last = where[key], match.end() - 1
        was = text[text.rfind("\n", 0, last) + 1 :].splitlines()[0]
        where[key] = f"{text[:last]}{(int(text[last]) + 1) % 10}{text[last + 1 :]}"
    path.write_text(nbformat.writes(notebook, version=4) + "\n", encoding="utf-8")
    return was.strip()


def try_one(mutant: Mutant, project: Path) -> tuple[str, str]:
    """Name who noticed the mutant, nobody as an empty text, and give the line as it was."""
    own = project / "notebooks" / mutant.notebook
    try:
        was = mutate(own, mutant)
        stem = Path(mutant.notebook).stem
        looks = [f"tests/notebooks/test_{name}.py" for name in ("contract", "statements")]
        look = ["pytest", "-x", "-q", "-p", "no:cacheprovider", *looks, "-k"]
        if _fails([*look, f"{stem} and not {STAMP}"], project):
            return "contract or statements", was
        if _fails(["tests.notebooks.copies", "build/checked"], project):
            return "copies", was
        options = [each for each in NBVAL if not each.startswith("build/")]
        copy = f"build/checked/{mutant.notebook}"
        if _fails(["pytest", "-x", "-q", *options, copy], project):
            return "nbval", was
        return ("the stamp alone" if _fails([*look, f"{stem} and {STAMP}"], project) else ""), was
    finally:
        shutil.copyfile(ROOT / "notebooks" / mutant.notebook, own)


def _fails(module: list[str], project: Path) -> bool:
    environment = os.environ | mutants.OFFLINE | {"PYTHONPATH": str(project)}
    try:
        done = subprocess.run([sys.executable, "-m", *module], cwd=project, env=environment,
                              capture_output=True, timeout=LONGEST, check=False)  # fmt: skip
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


@click.command(help=__doc__.partition("\n")[0])
@click.option("--count", default=100, show_default=True, help="How many mutants.")
@click.option("--seed", default=0, show_default=True, help="Which ones.")
@click.option("--jobs", default=2, show_default=True, help="How many at a time.")
def main(count: int, seed: int, jobs: int) -> None:
    """Try mutants, list those that survive, and print the score."""
    paths = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    chance, chosen, every = random.Random(seed), [], 0
    for kind, share in (("code", count // 2), ("number", count - count // 2)):
        possible = [m for path in paths for m in find_mutants(path, kind)]
        chosen += chance.sample(possible, min(share, len(possible)))
        every += len(possible)
    free, found, lines = Queue(), Counter(), []
    build = ROOT / "build" / "notebook-mutants"
    shutil.rmtree(build, ignore_errors=True)
    for job in range(jobs):
        free.put(copy_project(build / str(job)))

    def work(mutant: Mutant) -> tuple[Mutant, str, str]:
        project = free.get()
        try:
            return mutant, *try_one(mutant, project)
        finally:
            free.put(project)

    with ThreadPoolExecutor(jobs) as pool:
        for mutant, by, was in pool.map(work, chosen):
            found[mutant.kind, by] += 1
            if by in ("", "the stamp alone"):
                where = f"{mutant.notebook} cell {mutant.cell}: {mutant.change}: {was}"
                lines.append(f"{by or 'nobody'}: {where}")
                click.echo(lines[-1])
    (ROOT / "build" / "notebook-mutants.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for kind in ("code", "number"):
        by = {who: n for (of, who), n in found.items() if of == kind}
        tried = sum(by.values())
        named = ", ".join(f"{n} by {who}" for who, n in by.items() if who)
        click.echo(f"{kind:8} {score(tried - by.get('', 0), tried)}: {named}")
    killed = sum(n for (_, who), n in found.items() if who)
    click.echo(f"{'all':8} {score(killed, len(chosen))}, of {every:,}")
    killed -= found["code", "the stamp alone"]
    click.echo(f"{'without the stamp':17} {score(killed, len(chosen))}")


if __name__ == "__main__":
    main()
