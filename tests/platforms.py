"""Where the project installs, asked of the package registry: `python -m tests.platforms`.

For every Python and system below, uv chooses packages for the core and for all extras from
metadata alone, within constraints.txt; nothing is downloaded whole and nothing installed. Only
wheels count: a package that comes as source alone would need a compiler, and is unresolved
even where it happens to be pure Python. The exit code is 1 where a cell is neither "yes" nor
known below.

--write puts the table into tests/PLATFORMS.md. --pin makes constraints.txt anew, keeping each
version that can stay; to let one move, delete its lines first. uv is taken from the PATH or
from MNISTKIT_UV, and asks the registry that UV_DEFAULT_INDEX names, else the usual one; other
settings of pip or uv on this machine do not count.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import click
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = ROOT / "pyproject.toml"
CONSTRAINTS = ROOT / "constraints.txt"
TABLE = ROOT / "tests" / "PLATFORMS.md"

YES = "yes"
ALL_EXTRAS = ("--all-extras",)
KEPT = ("UV_CACHE_DIR", "UV_DEFAULT_INDEX")
CUDA = re.compile(r"(nvidia|cuda)-|triton\b")


@dataclass(frozen=True)
class Platform:
    """A system: its name in the table, at uv, and in the markers of requirements."""

    name: str
    target: str
    os_name: str
    sys_platform: str
    platform_system: str
    platform_machine: str

    def environment(self, python: str) -> dict[str, str]:
        """Values of all markers for CPython `python`, a full version such as 3.11.2."""
        return {
            "os_name": self.os_name,
            "sys_platform": self.sys_platform,
            "platform_system": self.platform_system,
            "platform_machine": self.platform_machine,
            "platform_release": "",
            "platform_version": "",
            "python_version": python.rpartition(".")[0],
            "python_full_version": python,
            "implementation_name": "cpython",
            "implementation_version": python,
            "platform_python_implementation": "CPython",
            "extra": "",
        }


# 3.11.2 is Debian 12's; from 3.11.5 on `re` can do what newer soupsieves need; 3.15 is the
# newest that PyTorch has wheels for.
PYTHONS = ("3.11.0", "3.11.2", "3.11.5", "3.12.0", "3.13.0", "3.14.0", "3.15.0")
PLATFORMS = (
    Platform("Linux x86-64", "x86_64-manylinux_2_28", "posix", "linux", "Linux", "x86_64"),
    Platform("Linux arm64", "aarch64-manylinux_2_28", "posix", "linux", "Linux", "aarch64"),
    Platform(
        "macOS 14, Apple silicon", "aarch64-apple-darwin", "posix", "darwin", "Darwin", "arm64"
    ),
    Platform("Windows x86-64", "x86_64-pc-windows-msvc", "nt", "win32", "Windows", "AMD64"),
)
MACOS = "14.0"
AT_A_TIME = 4

# What cannot be resolved and need not be: (Python, platform's name) and the cell's text.
KNOWN: dict[tuple[str, str], str] = {}

# What has wheels for 3.15, where the versions that the tests passed with on 3.11 have none.
APART = ("contourpy>=1.4", "numpy>=2.5", "pyyaml>=6.0.4", "scipy>=1.18")
APART_FROM = "3.15"

HEADER = """\
# The exact versions for Python 3.11 to 3.15 on Linux, macOS and Windows; the tests passed with
# them on 3.11 and Linux. PyTorch's own CUDA packages are left to it: other builds need others.
# Made with `python -m tests.platforms --pin`, checked with `python -m tests.platforms`.
"""


class Unresolved(click.ClickException):
    """No choice of packages fits; the text is a short reason."""


def find_uv() -> str:
    """Path of uv; a one-line error where there is none."""
    named = os.environ.get("MNISTKIT_UV", "uv")
    if found := shutil.which(named):
        return found
    raise click.ClickException(
        f"{named} is not there: pip install uv, or name its path in MNISTKIT_UV"
    )


def clean_environment() -> dict[str, str]:
    """What uv may see of this machine's environment: nothing that chooses packages."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PIP_", "UV_")) or name in KEPT
    }
    return {**kept, "MACOSX_DEPLOYMENT_TARGET": MACOS}


def compile_with(uv: str, *arguments: str) -> str:
    """Let uv choose packages; return one per line, or raise Unresolved with its reason."""
    command = [uv, "pip", "compile", "--no-config", "--quiet", "--color", "never"]
    command += ["--no-python-downloads", "--python", sys.executable, "--only-binary", ":all:"]
    command += ["--no-annotate", "--no-header", *arguments, str(PYPROJECT)]
    result = subprocess.run(
        command, env=clean_environment(), cwd=ROOT, capture_output=True, text=True, encoding="utf-8"
    )
    if result.returncode == 0:
        return result.stdout
    if "No solution found" in result.stderr:
        raise Unresolved(reason(result.stderr))
    raise click.ClickException(f"uv could not ask the registry: {result.stderr.strip()}")


REASONS = (
    (re.compile(r"(\S+==\S+) depends on (Python\S+?),"), r"\1 needs \2"),
    (re.compile(r"(\S+==\S+) has no (?:usable )?wheels"), r"\1 has no wheel"),
    (re.compile(r"there is no version of (\S+)"), r"there is no \1"),
    (re.compile(r"Because (.+?), we can conclude"), r"\1"),
)


def reason(failure: str) -> str:
    """The package at fault, from uv's explanation of why it found no solution."""
    text = " ".join(failure.split())
    for pattern, short in REASONS:
        if found := pattern.search(text):
            return found.expand(short)
    return "uv finds no solution"


def pins() -> list[Requirement]:
    """The lines of constraints.txt."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def pinned(python: str, platform: Platform) -> dict[str, list[str]]:
    """Exact versions of each package whose markers apply; more than one is a mistake."""
    found: dict[str, list[str]] = {}
    for pin in pins():
        if pin.marker is None or pin.marker.evaluate(platform.environment(python)):
            found.setdefault(canonicalize_name(pin.name), []).append(str(pin.specifier))
    return found


def resolve(uv: str, python: str, platform: Platform, extras: tuple[str, ...]) -> str:
    """Why the project does not resolve within constraints.txt; empty where it does."""
    cell = ("--python-version", python, "--python-platform", platform.target)
    try:
        chosen = compile_with(uv, *cell, "--constraints", str(CONSTRAINTS), *extras)
    except Unresolved as unresolved:
        return str(unresolved)
    held = pinned(python, platform)
    names = [canonicalize_name(line.partition("==")[0]) for line in chosen.splitlines()]
    loose = [name for name in names if name not in held and not CUDA.match(name)]
    return f"{', '.join(loose)} not pinned" if loose else ""


def ask(uv: str, python: str, platform: Platform) -> str:
    """The cell of the table for one Python on one platform."""
    if core := resolve(uv, python, platform, ()):
        return f"no: {core}"
    if extras := resolve(uv, python, platform, ALL_EXTRAS):
        return f"core only: {extras}"
    return YES


def ask_all(uv: str) -> dict[tuple[str, str], str]:
    """Every cell, by Python and platform's name."""
    cells = [(python, platform) for python in PYTHONS for platform in PLATFORMS]
    with ThreadPoolExecutor(AT_A_TIME) as pool:  # mostly they wait for the registry
        texts = pool.map(lambda cell: ask(uv, *cell), cells)
        return {(cell[0], cell[1].name): text for cell, text in zip(cells, texts, strict=True)}


def surprises(
    cells: Mapping[tuple[str, str], str], known: Mapping[tuple[str, str], str]
) -> list[tuple[str, str]]:
    """Cells that are not resolved, and not known for that very reason."""
    return [key for key, text in cells.items() if text not in (YES, known.get(key))]


def as_table(cells: Mapping[tuple[str, str], str]) -> str:
    """Markdown: a row for each Python, a column for each platform."""
    names = [platform.name for platform in PLATFORMS]
    rows = [["Python", *names], ["---"] * (1 + len(names))]
    rows += [[python, *(cells[python, name] for name in names)] for python in PYTHONS]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def as_page(cells: Mapping[tuple[str, str], str], version: str) -> str:
    """The table, and what was asked, when and of what."""
    packages = len({canonicalize_name(pin.name) for pin in pins()})
    return f"""\
# Where the project installs

Asked on {date.today()} with {version}: `python -m tests.platforms --write`.

"yes": the core alone and the project with all its extras resolve, within the {packages} packages
of `constraints.txt` and with a wheel for each of them. Only the registry's metadata was read:
nothing was installed, and no test ran. Linux is one with glibc 2.28 or newer. Free-threaded
Pythons were not asked for.

{as_table(cells)}"""


def uv_version(uv: str) -> str:
    """Name and version, such as "uv 0.13.9"."""
    result = subprocess.run([uv, "--version"], capture_output=True, text=True, check=True)
    return " ".join(result.stdout.split()[:2])


def pinned_apart() -> list[Requirement]:
    """Pins of packages with more than one: uv would take the newest of them everywhere."""
    counts = Counter(pin.name for pin in pins())
    return [pin for pin in pins() if counts[pin.name] > 1]


def new_constraints(uv: str) -> str:
    """The text of a new constraints.txt for every Python and platform."""
    with tempfile.TemporaryDirectory() as folder:
        apart, output = Path(folder, "apart.txt"), Path(folder, "constraints.txt")
        lines = [f'{least} ; python_version >= "{APART_FROM}"' for least in APART]
        lines += [str(pin) for pin in pinned_apart()]
        apart.write_text("\n".join(lines), encoding="utf-8")
        shutil.copyfile(CONSTRAINTS, output)  # uv keeps the versions that it finds there
        whole = ("--universal", "--python-version", PYTHONS[0], *ALL_EXTRAS)
        compile_with(uv, *whole, "--constraints", str(apart), "--output-file", str(output))
        chosen = output.read_text(encoding="utf-8").splitlines(keepends=True)
    return HEADER + "".join(line for line in chosen if not CUDA.match(line))


def write(path: Path, text: str) -> None:
    """Write text with the same line ends on every system."""
    path.write_text(text, encoding="utf-8", newline="\n")


@click.command(help=__doc__)
@click.option("--write", "writes", is_flag=True, help="Put the table into tests/PLATFORMS.md.")
@click.option("--pin", "pins_anew", is_flag=True, help="Make constraints.txt anew, first.")
def main(writes: bool, pins_anew: bool) -> None:
    uv = find_uv()
    if pins_anew:
        write(CONSTRAINTS, new_constraints(uv))
    cells = ask_all(uv)
    click.echo(as_table(cells), nl=False)
    if writes:
        write(TABLE, as_page(cells, uv_version(uv)))
    for python, name in surprises(cells, KNOWN):
        click.echo(f"not resolved: Python {python} on {name}: {cells[python, name]}", err=True)
    sys.exit(1 if surprises(cells, KNOWN) else 0)


if __name__ == "__main__":
    main()
