"""List what the statements of notebooks do not cover: `python -m tests.notebooks.statements 05`."""

import sys

from mnistkit.notebooks.execute import find_notebooks
from tests.notebooks.statements import Outputs, failures, not_there, unchecked, uncovered

for path in find_notebooks(sys.argv[1:]):
    outputs = Outputs(path)
    lists = {
        "wrong": failures(outputs),
        "words that are no longer there": not_there(outputs),
        "sentences without a statement": uncovered(outputs),
        "printed numbers without a check": unchecked(outputs),
    }
    for title, found in lists.items():
        print(
            f"{outputs.name}, {title}: {len(found)}", *(f"  - {each}" for each in found), sep="\n"
        )
