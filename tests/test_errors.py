"""An error names the thing and what to do; the nearest right name is suggested."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnistkit import errors
from mnistkit.errors import (
    MissingPackageError,
    MnistkitError,
    UnknownNameError,
    needs_package,
    suggestion,
    unknown_name,
)


def test_an_error_says_what_then_where_then_what_to_do():
    whole = MnistkitError("a.txt is damaged", where="runs/01", do="delete that file")
    assert str(whole) == "a.txt is damaged\n  in   runs/01\n  do   delete that file"
    assert str(MnistkitError("a.txt is damaged", do="delete it")).splitlines()[1] == (
        "  do   delete it"
    )
    assert str(MnistkitError("a.txt is damaged")) == "a.txt is damaged"


def test_the_folder_that_one_is_in_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    where = str(MnistkitError("a.txt is damaged", where=Path("a.txt").parent)).splitlines()[1]
    assert where == f"  in   {tmp_path}"


def test_every_error_is_of_that_form_and_caught_as_mnistkits_own():
    kinds = [kind for name, kind in vars(errors).items() if name.endswith("Error")]
    assert len(kinds) > 10
    for kind in kinds:
        assert issubclass(kind, MnistkitError)
        assert str(kind("what", where="where", do="do")) == "what\n  in   where\n  do   do"


def test_a_package_that_is_missing_is_named_with_how_to_get_it():
    with (
        pytest.raises(MissingPackageError) as caught,
        needs_package("the book", "lab"),
    ):
        import no_such_package  # noqa: F401
    assert str(caught.value) == (
        "the book needs no_such_package, which is not installed\n  do   pip install 'mnistkit[lab]'"
    )
    assert isinstance(caught.value, ImportError)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_package_that_fails_for_another_reason_is_not_called_missing():
    with (
        pytest.raises(ImportError, match="cannot import name 'nothing'") as caught,
        needs_package("the book", "lab"),
    ):
        from json import nothing  # noqa: F401
    assert not isinstance(caught.value, MissingPackageError)


def test_an_unknown_name_is_answered_with_all_that_are_known():
    error = unknown_name("optimizer", "adm", ["sgd", "adamw", "adam"])
    assert isinstance(error, UnknownNameError)
    assert isinstance(error, ValueError)
    assert str(error) == (
        "unknown optimizer 'adm'; did you mean 'adam'?\n  do   choose one of: adam, adamw, sgd"
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("compactcnn", "; did you mean 'CompactCNN'?"),
        ("CompactCN", "; did you mean 'CompactCNN'?"),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_a_suggestion_is_near_in_any_case_of_its_letters(name, words):
    assert suggestion(name, ["V0", "CompactCNN"]) == words
