"""How many small mistakes the tests notice: a random sample of mutants of the library.

    python -m tests.mutants                 # 600 of them, half an hour on two cores
    python -m tests.mutants --count 50 --room trust
    python -m tests.mutants --again         # after new tests: those that survived, once more

A mutant is the library with one thing changed: `<` for `<=`, `+` for `-`, a number one larger,
a condition turned round, a call or a keyword left out, a `return` of nothing. Words are left as
they are. Each is tried, in a copy of the project, against the tests of its module; it is killed
if one of them fails or takes far too long. mutmut and its like try mutants in the same way, but
start from whole functions and would need this project's processes, notebooks and figures
explained to them.

The survivors are written to build/mutants.txt, to be read one by one: each asks for a test, or
changes nothing that could be seen. build/mutants.json keeps all that were tried, for --again, which
takes the others for killed where the library is as it was: tests may only be added meanwhile.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from importlib import import_module
from pathlib import Path

import click

OFFLINE = {"MNISTKIT_SOURCE": "sample", "MNISTKIT_MOBILENET": "random", "TQDM_DISABLE": "1",
           "OMP_NUM_THREADS": "1", "LOKY_MAX_CPU_COUNT": "1"}  # fmt: skip
ROOT = Path(__file__).resolve().parents[1]
ROOMS = {
    "core": ["augmentation", "charts", "checkpoints", "data", "metrics", "models", "pictures",
             "prediction", "training", "transfer"],
    "experiments": ["anova", "experiment", "parallel", "recipe", "results", "run", "stack",
                    "sweep"],
    "study": ["claims", "ladder", "plan", "reader", "report", "rules", "table", "trained"],
    "trust": ["calibration", "corruptions", "disputed"],
    "handwriting": ["hands", "letters", "page", "photo", "photographs", "predict", "reader",
                    "strokes"],
}  # fmt: skip
# What has no test file of its own name, or is tested elsewhere as well.
ALSO = {
    "experiments/recipe": ["experiments/test_settings_arrive.py"],
    "training": ["experiments/test_settings_arrive.py", "utils/test_validation.py"],
    "study/plan": ["study/test_reader.py"],
    "handwriting/reader": ["handwriting/test_letters.py"],
    "trust/calibration": ["trust/test_plots.py"],
}
EVERYWHERE = ["test_values.py"]  # what it asks holds in every module
LIBRARIES = ["torch", "torchvision", "numpy", "pandas", "scipy.stats", "scipy.ndimage", "sklearn",
             "matplotlib.pyplot", "torchmetrics", "mlxtend.plotting", "joblib", "hypothesis",
             "pytest", "lazy_loader", "PIL.Image"]  # fmt: skip
SWAPPED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Div, ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd, ast.Mod: ast.Mult,
}  # fmt: skip
LONGEST = 240.0  # seconds; one that takes longer hangs, which is noticed


@dataclass(frozen=True)
class Mutant:
    """One change of one module; place counts its possible changes from 0."""

    module: str
    place: int
    line: int
    change: str

    @property
    def tests(self) -> list[str]:
        """The files that are to notice it."""
        folder, _, name = self.module.rpartition("/")
        own = f"{folder}/test_{name}.py" if folder else f"test_{name}.py"
        return [f"tests/{path}" for path in [own, *ALSO.get(self.module, []), *EVERYWHERE]]


# --- making them ----------------------------------------------------------------------------


def changes(tree: ast.Module) -> Iterator[tuple[int, str, object]]:
    """Each possible change: its line, what it is, and a function that makes it in the tree."""
    words = {id(node) for holder in ast.walk(tree) for node in _left_alone(holder)}
    for node in ast.walk(tree):
        if id(node) in words:
            continue
        for change, apply in _changes_of(node):
            yield node.lineno, change, apply


def _left_alone(holder: ast.AST) -> Iterator[ast.AST]:
    """Annotations, and what only types need."""
    for name in ("annotation", "returns"):
        if annotation := getattr(holder, name, None):
            yield from ast.walk(annotation)
    if isinstance(holder, ast.If) and ast.unparse(holder.test) == "TYPE_CHECKING":
        yield from ast.walk(holder)


def _changes_of(node: ast.AST) -> Iterator[tuple[str, object]]:
    if isinstance(node, ast.Compare):
        for place, op in enumerate(node.ops):
            if type(op) in SWAPPED:
                new = SWAPPED[type(op)]
                yield f"{_name(op)} to {new.__name__}", _setter(node.ops, place, new())
    elif isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in SWAPPED:
        new = SWAPPED[type(node.op)]
        yield f"{_name(node.op)} to {new.__name__}", lambda: setattr(node, "op", new())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not left out", lambda: _become(node, node.operand)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        new = not node.value if isinstance(node.value, bool) else node.value + 1
        yield f"{node.value} to {new}", lambda: setattr(node, "value", new)
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        yield (
            "condition turned round",
            lambda: setattr(
                node, "test", ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node.test)
            ),
        )
    elif isinstance(node, ast.Return) and node.value is not None:
        yield "returns nothing", lambda: setattr(node, "value", None)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield "call left out", lambda: setattr(node, "value", ast.Constant(None))
    elif isinstance(node, ast.Call):
        for place, keyword in enumerate(node.keywords):
            if keyword.arg:
                yield f"{keyword.arg}= left out", lambda place=place: node.keywords.pop(place)


def _setter(values: list, place: int, new: object) -> object:
    return lambda: values.__setitem__(place, new)


def _become(node: ast.AST, other: ast.AST) -> None:
    node.__class__, node.__dict__ = other.__class__, copy.copy(other.__dict__)


def _name(op: ast.AST) -> str:
    return type(op).__name__


def source_of(module: str) -> Path:
    """Where a module stands in the project."""
    return Path("mnistkit") / f"{module}.py"


def find_mutants(module: str) -> list[Mutant]:
    """All mutants of a module."""
    tree = ast.parse((ROOT / source_of(module)).read_text(encoding="utf-8"))
    found = enumerate(changes(tree))
    return [Mutant(module, place, line, change) for place, (line, change, _) in found]


def mutated(mutant: Mutant, source: str) -> str:
    """The module's source, as it was when its mutants were found, with the change."""
    tree = ast.parse(source)
    _, _, apply = list(changes(tree))[mutant.place]
    apply()
    return ast.unparse(ast.fix_missing_locations(tree))


# --- trying them ----------------------------------------------------------------------------


def copy_project(folder: Path) -> Path:
    """What tests need, without data, builds and history."""
    left_out = shutil.ignore_patterns(".git", ".venv", "build", "runs", "data", "__pycache__",
                                      "*.egg-info", "node_modules", ".*cache")  # fmt: skip
    shutil.copytree(ROOT, folder, ignore=left_out)
    return folder


def try_one(mutant: Mutant, project: Path) -> int:
    """Start the tests of a mutant in a fork of this process; return the fork's number."""
    own = project / source_of(mutant.module)
    own.write_text(mutated(mutant, own.read_text(encoding="utf-8")), encoding="utf-8")
    child = os.fork()
    if child == 0:
        os.setsid()
        code = 3
        try:
            code = _run_tests(mutant.tests, project)
        finally:
            os._exit(code)
    return child


def _run_tests(tests: list[str], project: Path) -> int:
    os.chdir(project)
    os.environ["PYTHONPATH"] = sys.path[0] = str(project)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("mnistkit", "tests")]:
        del sys.modules[name]
    out = os.open(os.devnull, os.O_WRONLY)
    os.dup2(out, 1)
    os.dup2(out, 2)
    import pytest

    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0",
                            "-m", "not full and not browser", *tests]))  # fmt: skip


def run(mutants: list[Mutant], jobs: int) -> Iterator[tuple[Mutant, bool]]:
    """Try each; yields it and whether it was killed, in the order in which they end."""
    build = ROOT / "build" / "mutants"
    shutil.rmtree(build, ignore_errors=True)
    free = [copy_project(build / str(place)) for place in range(jobs)]
    waiting, running = list(reversed(mutants)), {}
    while waiting or running:
        while waiting and free:
            mutant, project = waiting.pop(), free.pop()
            before = (project / source_of(mutant.module)).read_bytes()
            running[try_one(mutant, project)] = mutant, project, before, time.monotonic()
        time.sleep(0.05)
        for child, (mutant, project, before, started) in list(running.items()):
            done, status = os.waitpid(child, os.WNOHANG)
            late = time.monotonic() - started > LONGEST
            if not done and not late:
                continue
            if not done:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
            del running[child]
            (project / source_of(mutant.module)).write_bytes(before)
            free.append(project)
            yield mutant, late or os.waitstatus_to_exitcode(status) != 0


def _until_stopped(tried: Iterator[tuple[Mutant, bool]]) -> Iterator[tuple[Mutant, bool]]:
    """Ctrl-C ends it: those so far are a random sample as well, in the order they were drawn."""
    try:
        yield from tried
    except KeyboardInterrupt:
        click.echo("stopped")


def score(killed: int, tried: int) -> str:
    """The share that was killed, with its 95 % interval (Wilson, 1927)."""
    from mnistkit.metrics import interval_of_share

    low, high = interval_of_share(killed, tried)
    return f"{killed} of {tried} killed, {killed / tried:.3f} [{low:.3f}, {high:.3f}]"


def read_tried() -> list[tuple[Mutant, bool]]:
    """What the last call tried, as the library is now.

    Mutants of a module that has changed since count as survivors, to be tried again; those
    whose line is no more are left out.
    """
    kept, tried = json.loads((ROOT / "build" / "mutants.json").read_text("utf-8")), []
    for *fields, words, killed in kept["tried"]:
        mutant = Mutant(*fields)
        if kept["digests"][mutant.module] == digest(mutant.module):
            tried.append((mutant, killed))
        elif found := [m for m in find_mutants(mutant.module) if _alike(in_words(m), words)]:
            tried.append((found[0], False))
    return tried


def _alike(words: str, others: str) -> bool:
    """Whether two are one change of one line, wherever that stands in its module."""
    (file, _, what), (other_file, _, other) = words.split(":", 2), others.split(":", 2)
    return (file, what) == (other_file, other)


def write_tried(tried: list[tuple[Mutant, bool]]) -> None:
    """Keep what was tried, and the survivors in words."""
    build = ROOT / "build"
    rows = [(*astuple(mutant), in_words(mutant), killed) for mutant, killed in tried]
    digests = {mutant.module: digest(mutant.module) for mutant, _ in tried}
    (build / "mutants.json").write_text(json.dumps({"digests": digests, "tried": rows}), "utf-8")
    lines = sorted(words for *_, words, killed in rows if not killed)
    (build / "mutants.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def digest(module: str) -> str:
    """Of a module's source."""
    return hashlib.sha256((ROOT / source_of(module)).read_bytes()).hexdigest()


def in_words(mutant: Mutant) -> str:
    """Where it is, what it changes, and the line as it was."""
    text = (ROOT / source_of(mutant.module)).read_text("utf-8").splitlines()
    line = text[mutant.line - 1].strip()
    return f"{mutant.module}.py:{mutant.line}: {mutant.change}: {line}"


def print_scores(tried: list[tuple[Mutant, bool]]) -> None:
    """A line for each room, and one for all."""
    for room in (*ROOMS, "all"):
        dead = [killed for mutant, killed in tried
                if room in ("all", mutant.module.rpartition("/")[0] or "core")]  # fmt: skip
        if dead:
            click.echo(f"{room:12} {score(sum(dead), len(dead))}")


@click.command(help=__doc__.partition("\n")[0])
@click.option("--count", default=600, show_default=True, help="How many mutants.")
@click.option("--seed", default=0, show_default=True, help="Which ones.")
@click.option("--room", type=click.Choice(list(ROOMS)), help="Of one room alone.")
@click.option("--module", help="Of one module alone, such as trust/calibration.")
@click.option("--jobs", default=2, show_default=True, help="How many at a time.")
@click.option("--again", is_flag=True,
              help="Those that survived the last time, and of changed modules.")  # fmt: skip
def main(count: int, seed: int, room: str | None, module: str | None, jobs: int,
         again: bool) -> None:  # fmt: skip
    """Try mutants, list those that survive, and print the score of each room."""
    os.environ.update(OFFLINE | {"PYTHONDONTWRITEBYTECODE": "1"})
    sys.dont_write_bytecode = True
    rooms = {room: ROOMS[room]} if room else ROOMS
    modules = [name if where == "core" else f"{where}/{name}"
               for where, names in rooms.items() for name in names]  # fmt: skip
    every = [m for name in modules if module in (None, name) for m in find_mutants(name)]
    known = read_tried() if again else []
    chosen = [mutant for mutant, killed in known if not killed] if again else (
        random.Random(seed).sample(every, min(count, len(every)))
    )  # fmt: skip
    tried = [(mutant, killed) for mutant, killed in known if killed]
    for library in LIBRARIES:  # once, for all forks
        import_module(library)
    for number, (mutant, killed) in enumerate(_until_stopped(run(chosen, jobs)), start=1):
        tried.append((mutant, killed))
        if not killed:
            click.echo(f"survived {number}/{len(chosen)}: {in_words(mutant)}")
    seen = {mutant for mutant, _ in tried}
    tried += [(mutant, False) for mutant in chosen if again and mutant not in seen]
    write_tried(tried)
    print_scores(tried)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, check=False,
                            capture_output=True, text=True).stdout.strip()  # fmt: skip
    click.echo(f"of {len(every):,} mutants, at {commit}")


if __name__ == "__main__":
    main()
