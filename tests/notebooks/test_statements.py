"""Every sentence that states something is borne out by what its notebook measured."""

from __future__ import annotations

import copy
import re
from functools import cache
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mnistkit.notebooks.execute import find_notebooks
from mnistkit.notebooks.records import MIME_TYPE
from tests.notebooks import statements
from tests.notebooks.statements import Outputs, Statement, bounds
from tests.notebooks.statements.agreement import disagreements
from tests.notebooks.statements.outputs import Score, scores, to_number
from tests.notebooks.statements.sentences import readings, sentences, states_something

of_each_notebook = pytest.mark.parametrize("path", find_notebooks(), ids=lambda path: path.stem)


@cache
def committed(path: Path) -> Outputs:
    return Outputs(path)


@cache
def failures(path: Path) -> list[str]:
    """What is wrong with the committed outputs; they know from then on what was read in them."""
    return statements.failures(committed(path))


# --- the notebooks --------------------------------------------------------------------------


@of_each_notebook
def test_words_stand_in_the_notebook(path):
    assert statements.not_there(committed(path)) == []


@of_each_notebook
def test_committed_outputs_bear_the_words_out_and_agree_with_each_other(path):
    assert failures(path) == []


@of_each_notebook
def test_every_sentence_that_states_something_has_a_statement(path):
    assert statements.uncovered(committed(path)) == []


@of_each_notebook
def test_every_printed_number_is_checked_or_stands_elsewhere_too(path):
    assert failures(path) == []
    assert statements.unchecked(committed(path)) == []


# --- sentences ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    {
        "One. Two! Three?": ["One.", "Two!", "Three?"],
        "It is 2.30 or -0.42. So be it.": ["It is 2.30 or -0.42.", "So be it."],
        "Take one, e.g. MNIST, i.e. digits.": ["Take one, e.g. MNIST, i.e. digits."],
        "As LeCun et al. (1998) say, no. 5 is odd.": ["As LeCun et al. (1998) say, no. 5 is odd."],
        "The answer is no. Five are odd.": ["The answer is no.", "Five are odd."],
        "By T. Brown. It is README A. Others differ.": [
            "By T. Brown.", "It is README A.", "Others differ.",
        ],
        "Call `a.B. C` twice. `fit` does it.": ["Call `a.B. C` twice.", "`fit` does it."],
        "See [the page. Here](x.html?a. B). [More](y).": [
            "See [the page.", "Here](x.html?a. B).", "[More](y).",
        ],
        "*A bug.* (Most say yes.) \"Why?\" **No.** End": [
            "*A bug.*", "(Most say yes.)", '"Why?"', "**No.**", "End",
        ],
        "With $p. Q$ it holds. Then more.": ["With $p. Q$ it holds.", "Then more."],
        "one line\nand the next. Then\na third.": ["one line and the next.", "Then a third."],
        "Why:\n1. *softmax* sums to 1;\n2. the loss. It falls.\n\nEnd.": [
            "Why:", "*softmax* sums to 1;", "the loss.", "It falls.", "End.",
        ],
        "- first item\n- second. Item\n  goes on": ["first item", "second.", "Item goes on"],
        "## Ten. Heads\nText.\n| a. B | 1 |\n|---|---|\n\n```\nx = 1. A\n```\nEnd.": [
            "Text.", "End.",
        ],
        "Zero. ± is a sign.": ["Zero.", "± is a sign."],
        "": [],
    }.items(),
)  # fmt: skip
def test_text_is_split_into_sentences(text, expected):
    assert list(sentences(text)) == expected


@pytest.mark.parametrize(
    "sentence",
    [
        "It ends near 97 %.", "V2 beats V1.", "Half of them are students'.", "None is padded.",
        "It is sure of most.", "A tenth is left.", "ReLU is best.", "They are the same.",
        "Only one was drawn.", "A window of 3 x 3.", "Better than before (see `x`).",
        "It loses nothing.", "Adam comes first.", "The loss is -ln 0.1.", "All agree.",
        "Eleven tests at once.", "Is it? It is *worse*.",
    ],
)  # fmt: skip
def test_sentence_states_something(sentence):
    assert states_something(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "V1 is a lottery.", "MobileNetV2 reads C2 in bfloat16.", "Is it twice as fast?",
        "(Which is best?)", "So call `fit(model, 5)` again.", "[01_data](01_data.ipynb) tells.",
        "Draw a digit rather than a letter.", "It did not move at all.", "The almost small.",
    ],
)  # fmt: skip
def test_sentence_states_nothing(sentence):
    assert not states_something(sentence)


def test_readings_lie_between_title_and_exercises():
    words = ["# 01 · Title", "## One\n\nText.", "Two.\n\n## Exercises\n\nEach.", "### 1.1 Four."]
    assert [list(sentences(t)) for t in readings([*map(new_markdown_cell, words)])] == [
        ["Text."],
        ["Two."],
    ]


# --- statements -----------------------------------------------------------------------------


def test_a_statement_needs_a_predicate_or_a_source():
    for given in ({}, {"source": " "}, {"holds": bool, "source": "known"}):
        with pytest.raises(ValueError, match="either a predicate or a source"):
            Statement("V2 is better", **given)
    with pytest.raises(ValueError, match="could stand anywhere"):
        Statement("is better", bool)


def test_a_predicate_that_is_always_true_by_mistake_is_refused(small):
    with pytest.raises(TypeError, match="generator"):
        statements.is_true(lambda out: (x for x in [False]), small)


def test_a_sentence_is_covered_by_words_within_it_or_around_it(small, monkeypatch):
    module = type("module", (), {"STATEMENTS": [], "FOLLOWS": []})
    monkeypatch.setattr(statements, "module_of", lambda name: module)
    assert statements.uncovered(small) == ["Two of three are right.", "V0 is best of all."]
    module.STATEMENTS = [Statement("is best of all", source="known")]
    assert statements.uncovered(small) == ["Two of three are right."]
    module.STATEMENTS = [Statement("Two of\nthree are right. V0 is best of all.", source="known")]
    assert statements.uncovered(small) == []
    assert statements.not_there(small) == []


# --- outputs --------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path):
    record = {"name": "V0", "value": 0.5, "unit": "accuracy", "source": "mnist", "n": 1}
    html = (
        "<div><style>th {}</style><table><thead><tr><th></th><th>mean</th><th>than</th></tr>"
        "<tr><th>name</th><th></th><th></th></tr></thead><tbody><tr><th>3</th><td>1,234.5</td>"
        "<td>a &lt; b</td></tr></tbody></table></div>"
    )
    cells = [
        new_markdown_cell("# 01 · 99 digits"),
        new_markdown_cell("Two of three are right.\nV0 is best of all."),
        new_code_cell("print(digits)", outputs=[
            new_output("stream", text="mnist: 60,000 digits\n"),
            new_output("stream", text="right: 91.5% (n = 64)\n"),
        ]),
        new_code_cell("table", outputs=[new_output("display_data", {"text/html": html})]),
        new_code_cell("record(", outputs=[new_output("display_data", {MIME_TYPE: [record]})]),
        new_markdown_cell("## Exercises\n\nAll of 3."),
    ]  # fmt: skip
    nbformat.write(new_notebook(cells=cells), tmp_path / "01_small.ipynb")
    return Outputs(tmp_path / "01_small.ipynb")


def test_printed_numbers_are_found(small):
    assert small.number("digits", r"([\d,]+) digits") == 60_000
    assert small.numbers("digits", r"right: (.+%) \(n = (\d+)") == [0.915, 64]
    assert small.numbers("digits") == [60_000, 91.5, 64]


def test_records_and_tables_are_found(small):
    assert small["V0"] == 0.5
    table = small.table("table")
    assert table.to_dict() == {"mean": {"3": 1234.5}, "than": {"3": "a < b"}}


@pytest.mark.parametrize(
    "ask",
    [
        lambda out: out["V1"], lambda out: out.text("no such cell"), lambda out: out.text(""),
        lambda out: out.table("digits"), lambda out: out.alt("digits"),
        lambda out: out.number("digits", r"loss (\d+)"), lambda out: out.number("digits", r"(\d)"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_an_error(small, ask):
    with pytest.raises(LookupError):
        ask(small)


def test_scores_are_read_from_alt_texts():
    assert scores("CNNs: V2 98.26 % [97.88, 98.63]; E CNN 98.37 %.")["V2"] == (98.26, 97.88, 98.63)
    told = scores("Gains: A5: SGD - Adam, at best +0.10 [-0.20, +0.40].")
    assert told == {"A5: SGD - Adam, at best": Score(0.1, -0.2, 0.4)}
    assert scores("Accuracy per epoch: V0 train 0.881 to 0.916.") == {}
    assert to_number("-1,234.5") == -1234.5


# --- a change that is noticed ---------------------------------------------------------------


def tampered(name: str, kind: str, old: str, new: str) -> Outputs:
    """A notebook's outputs with one thing changed, in one kind of output."""
    outputs = copy.deepcopy(committed(find_notebooks([name])[0]))
    parts = [part for cell in outputs.code for output in cell.outputs for part in parts_of(output)]
    (part,) = (part for part in parts if old in str(part.get(kind, "")))
    part[kind] = part[kind].replace(old, new)
    return outputs


def parts_of(output):
    return output, output.get("data", {}), output.get("metadata", {}).get("image/png", {})


@pytest.mark.parametrize(
    ("change", "complaint"),
    {
        ("04", "alt", "V2 98.40 % [", "V2 98.41 % ["): "says different things",
        ("04", "text/markdown", "V2 98.40 % [", "V2 98.41 % ["): "says different things",
        ("04", "text/html", "<td>98.56</td>", "<td>98.57</td>"): "one of its two forms",
        ("04", "text/plain", "98.56", "98.57"): "one of its two forms",
        ("04", "text/plain", "114,618", "114,619"): "does not show what was recorded",
        ("04", "alt", "9,870 of 10,000 right", "9,871 of 10,000 right"): "not that of the counts",
        ("04", "text", "-0.16 to +0.94", "+0.43 to +0.94"): "without its mean",
        ("05", "text", "97.01 % [96.76", "97.01 % [97.06"): "without its mean",
        ("02", "text/html", "<td>0.8006</td>", "<td>0.8306</td>"): "without its mean",
        ("02", "alt", "46 times", "746 times"): "more is wrong than there is",
        ("02", "alt", "[80.06, 85.51]", "[81.06, 85.51]"): "differs from the table",
        ("07", "text/html", "<td>0.3786</td>", "<td>9.3786</td>"): "no probability",
    }.items(),
)
def test_outputs_that_contradict_each_other_are_named(change, complaint):
    found = disagreements(tampered(*change))
    assert any(complaint in each for each in found), found


@pytest.mark.parametrize(
    ("change", "complaint"),
    {
        ("01", "text", "539 writers, 539", "538 writers, 539"): "All of them",
        ("01", "text", "860 batches", "861 batches"): "batches make up",
        ("01", "text", "% of 5,000 validation", "% of 5,001 validation"): "first network",
        ("07", "text", "misreads 28 of", "misreads 29 of"): "disputed digits",
    }.items(),
)  # fmt: skip
def test_numbers_that_do_not_follow_are_named(change, complaint):
    found = statements.failures(tampered(*change))
    assert any(complaint in each for each in found), found


def test_recorded_numbers_out_of_bounds_or_without_are_named(small):
    small.name = "01_data"
    assert bounds.out_of_bounds(small) == [
        "V0 has no bounds",
        "deviation has bounds and is not recorded",
        "mean of training pixels has bounds and is not recorded",
        "nearest mean, test has bounds and is not recorded",
        "ten lines, validation has bounds and is not recorded",
    ]
    outputs = copy.deepcopy(committed(find_notebooks(["01"])[0]))
    outputs.records = [
        type(r)(r.name, r.value + 0.01, r.unit, r.source, r.n) for r in outputs.records
    ]
    assert all(re.search("is .* and not from", each) for each in bounds.out_of_bounds(outputs))


def test_bounds_around_stored_runs_hold_999_of_1000_means():
    low, high = bounds.around_stored("V2", 5)
    assert (round(low, 4), round(high, 4)) == (0.9789, 0.9892)
    assert bounds.around_stored("V2", 1)[0] < low
    assert bounds.around_stored("V2", 5, slack=0.01)[0] == pytest.approx(low - 0.01)
