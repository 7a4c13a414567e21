"""A model is trained once, found again, and never mistaken for another."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

import pytest
import torch

from mnistkit.augmentation import random_affine
from mnistkit.checkpoints import load_state
from mnistkit.errors import CheckpointError, ResultError
from mnistkit.experiments.recipe import Recipe, recipe_digest
from mnistkit.experiments.results import read_result, write_result
from mnistkit.metrics import prediction_interval
from mnistkit.models import build_model
from mnistkit.prediction import make_predictions
from mnistkit.study import trained
from mnistkit.study.plan import FAST
from mnistkit.study.table import read_table
from mnistkit.study.trained import (
    card_in_words,
    is_at_hand,
    trained_model,
    trained_models,
)
from mnistkit.training import evaluate
from mnistkit.utils.devices import thread_count

RECIPE = Recipe("E MLP", epochs=1)


def weights_of(found) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in found.model.parameters()])


@pytest.fixture
def kept(easy_digits, tmp_path):
    return trained_model(RECIPE, easy_digits, folder=tmp_path)


BATCHES = []


def count(images: torch.Tensor) -> torch.Tensor:
    BATCHES.append(len(images))
    return images


def stop_in_the_second_epoch(images: torch.Tensor) -> torch.Tensor:
    if sum(BATCHES) > 700:
        raise KeyboardInterrupt
    return count(images)


def test_it_is_trained_once(easy_digits, tmp_path):
    recipe = replace(RECIPE, augment=count)
    BATCHES.clear()
    kept = trained_model(recipe, easy_digits, folder=tmp_path)
    assert sum(BATCHES) == 600
    again = trained_model(recipe, easy_digits, folder=tmp_path)
    assert sum(BATCHES) == 600, "trained again"
    assert torch.equal(weights_of(again), weights_of(kept))
    assert again.card == kept.card
    assert not again.model.training


def test_a_model_that_comes_with_the_library_is_taken(easy_digits, tmp_path, monkeypatch):
    recipe = replace(RECIPE, augment=count)
    monkeypatch.setenv("MNISTKIT_CACHE", str(tmp_path / "cache"))
    published = trained_model(recipe, easy_digits, folder=tmp_path / "library")
    assert not is_at_hand(recipe, easy_digits)
    monkeypatch.setattr(trained, "_LIBRARY", tmp_path / "library")
    before = sorted((tmp_path / "library").iterdir())
    BATCHES.clear()
    assert is_at_hand(recipe, easy_digits)
    found = trained_model(recipe, easy_digits, folder=tmp_path / "mine")
    assert not BATCHES, "trained again"
    assert torch.equal(weights_of(found), weights_of(published))
    assert found.card == published.card
    assert sorted(p.suffix for p in (tmp_path / "mine").iterdir()) == [".json", ".md", ".pt"]
    trained_model(recipe, easy_digits, seed=1, folder=tmp_path / "mine")
    assert sum(BATCHES) == 600, "another seed is another model"
    trained_model(recipe, easy_digits, folder=tmp_path / "own", published=False)
    assert sum(BATCHES) == 1200, "whoever measures trains"
    assert sorted((tmp_path / "library").iterdir()) == before


PUBLISHED = ["B CNN", "CompactCNN", "D deep", "E CNN", "E CNN corrected", "V2"]


def published_cards() -> dict:
    cards = (read_result(path) for path in trained._LIBRARY.glob("*.json"))
    return {card.run.recipe["model"]: card for card in cards}


def test_these_models_come_with_the_library():
    assert sorted(published_cards()) == PUBLISHED
    assert sum(path.stat().st_size for path in trained._LIBRARY.iterdir()) < 5e6
    assert len(list(trained._LIBRARY.iterdir())) == 2 * len(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_model_is_what_its_card_says(name):
    card, runs = published_cards()[name], read_table().of(name)
    assert (card.run.seed, card.run.data.train, card.run.data.test) == (0, 60_000, 10_000)
    assert recipe_digest(card.run.recipe) == runs["recipe"].iloc[0]
    assert card.run.data.digest in set(runs["data"])
    weights = trained._LIBRARY / card.run.file_name.replace(".json", ".pt")
    assert card.measured["weights"] == trained._digest(weights)
    model = load_state(build_model(name), weights)
    assert sum(p.numel() for p in model.parameters()) == card.measured["parameters"]
    level = 1 - 0.05 / len(PUBLISHED)  # so that none of them falls outside, 19 times in 20
    one_more = prediction_interval(100 * runs["test_accuracy"], level)
    assert one_more.low < 100 * card.measured["test_accuracy"] < one_more.high


@pytest.mark.parametrize("part", [".pt", ".json"])
def test_a_published_model_that_is_damaged_is_named(easy_digits, tmp_path, monkeypatch, part):
    trained_model(RECIPE, easy_digits, folder=tmp_path / "library")
    (path,) = (tmp_path / "library").glob(f"*{part}")
    path.write_bytes(path.read_bytes()[:-200])
    monkeypatch.setattr(trained, "_LIBRARY", tmp_path / "library")
    with pytest.raises((CheckpointError, ResultError), match=path.name):
        trained_model(RECIPE, easy_digits, folder=tmp_path / "mine")


def test_a_card_in_words_that_is_damaged_is_written_anew(kept, easy_digits, tmp_path):
    (words,) = tmp_path.glob("*.md")
    true = words.read_bytes()
    words.write_bytes(b"\xff\xfe no UTF-8 \x80")
    trained_model(RECIPE, easy_digits, folder=tmp_path)
    assert words.read_bytes() == true


@pytest.mark.parametrize("name", ["weights", "test_accuracy", "seconds"])
def test_a_card_that_lacks_something_is_named(kept, name, easy_digits, tmp_path):
    (card,) = tmp_path.glob("*.json")
    result = read_result(card)
    measured = {key: value for key, value in result.measured.items() if key != name}
    write_result(tmp_path, replace(result, measured=measured))
    with pytest.raises(ResultError, match=rf"json lacks {name}\n.*\n.*delete that file"):
        trained_model(RECIPE, easy_digits, folder=tmp_path)


def test_a_training_that_was_stopped_is_kept_for_nobody(easy_digits, tmp_path):
    BATCHES.clear()
    recipe = replace(RECIPE, epochs=3, augment=stop_in_the_second_epoch)
    with pytest.raises(KeyboardInterrupt):
        trained_model(recipe, easy_digits, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_its_card_says_what_it_is(kept):
    assert kept.card["run"]["recipe"]["model"] == "E MLP"
    assert kept.card["run"]["data"]["digest"]
    assert kept.card["machine"]["processor"]
    assert str(kept).startswith("E MLP, trained on 600 digits of easy: ")


@pytest.mark.parametrize("change", ["recipe", "seed", "data"])
def test_another_run_is_another_model(kept, easy_digits, tmp_path, change):
    recipe = replace(RECIPE, learning_rate=0.01) if change == "recipe" else RECIPE
    digits = replace(easy_digits, train=easy_digits.train[:500])
    trained_model(recipe, digits if change == "data" else easy_digits,
                  seed=int(change == "seed"), folder=tmp_path)  # fmt: skip
    assert len(list(tmp_path.glob("*.pt"))) == 2


def test_damage_is_named(kept, easy_digits, tmp_path):
    (weights,), (card,) = tmp_path.glob("*.pt"), tmp_path.glob("*.json")
    whole = weights.read_bytes()
    weights.write_bytes(whole[:100])
    with pytest.raises(CheckpointError, match=weights.name):
        trained_model(RECIPE, easy_digits, folder=tmp_path)
    weights.write_bytes(whole)
    card.write_text(card.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(ResultError, match=card.name):
        trained_model(RECIPE, easy_digits, folder=tmp_path)


def test_weights_of_another_run_are_noticed(kept, easy_digits, tmp_path):
    (weights,) = tmp_path.glob("*.pt")
    torch.save(build_model("E MLP", seed=9).state_dict(), weights)
    with pytest.raises(CheckpointError, match="holds other weights than its card says"):
        trained_model(RECIPE, easy_digits, folder=tmp_path)


def test_the_card_in_words_says_what_made_it_and_where_it_ends(kept, easy_digits, tmp_path):
    (path,) = tmp_path.glob("*.md")
    words = path.read_text()
    right = round(200 * kept.card["measured"]["test_accuracy"])
    for part in (
        "# E MLP, seed 0",
        "| parameters | 79,510 |",
        f"600 digits of easy, data digest {easy_digits.digest}",
        f"{RECIPE.digest}: epochs 1; batch size 64; optimizer adam; learning rate 0.001",
        f"{right} of 200 digits right",
        kept.card["measured"]["weights"],
        "## Limits",
    ):
        assert part in words
    assert "other seeds" not in words, "no published run is of these digits"
    assert "/tmp" not in words


def test_the_card_tells_of_the_published_runs_of_its_recipe(kept):
    published = read_table()
    run = replace(kept.result.run, recipe=FAST.to_dict())
    data = replace(run.data, digest=published.of("FastCNN")["data"].iloc[0])
    words = card_in_words(replace(kept.result, run=replace(run, data=data)), "weights.pt")
    (line,) = re.findall(r"\| the same with other seeds \| (.*) \|", words)
    assert re.fullmatch(r"99\.\d\d % \[9\d\.\d\d, 99\.\d\d\] \(n = 10\)", line)
    assert line == published.accuracy("FastCNN").percent()
    assert "other seeds" not in card_in_words(replace(kept.result, run=run), "weights.pt"), "here"


def test_functions_of_a_recipe_are_named_with_their_settings(easy_digits, tmp_path):
    recipe = Recipe("E MLP", {"hidden": (20,)}, epochs=1, augment=partial(random_affine, shift=1.5))
    trained_model(recipe, easy_digits, folder=tmp_path)
    (path,) = tmp_path.glob("*.md")
    assert "options hidden [20]; epochs 1;" in path.read_text()
    assert "augment random_affine (shift 1.5)" in path.read_text()


def test_misread_digits_are_listed(kept, easy_digits):
    measured = kept.card["measured"]
    answers = make_predictions(kept.model, easy_digits.test.inputs()).argmax(dim=1)
    wrong = [place for place in range(200) if answers[place] != easy_digits.test.labels[place]]
    assert measured["test_wrong"] == wrong
    assert measured["test_accuracy"] == pytest.approx(1 - len(wrong) / 200)
    expected = evaluate(kept.model, easy_digits.test.loader(50)).loss
    assert measured["test_loss"] == pytest.approx(expected, rel=1e-4)


def test_half_a_model_is_trained_again(kept, easy_digits, tmp_path):
    (card,) = tmp_path.glob("*.json")
    card.unlink()
    assert torch.equal(
        weights_of(trained_model(RECIPE, easy_digits, folder=tmp_path)), weights_of(kept)
    )


def test_it_says_itself_in_a_line(kept):
    assert repr(kept) == f"<{kept}>"
    assert "\n" not in repr(kept)


@pytest.mark.parametrize("seed", [0.5, -1, "0", True])
def test_a_seed_that_is_none_is_named(seed, easy_digits, tmp_path):
    with pytest.raises(ValueError, match=r"seed is .*, expected a whole number of 0 or more"):
        trained_model(RECIPE, easy_digits, seed=seed, folder=tmp_path)


def test_several_models_are_trained_once_and_side_by_side(easy_digits, tmp_path):
    recipes = {"one": RECIPE, "another": replace(RECIPE, model="V2"), "the first": RECIPE}
    alone = trained_model(RECIPE, easy_digits, folder=tmp_path / "alone", progress=False)
    (tmp_path / "kept").mkdir()
    for path in (tmp_path / "alone").iterdir():
        (tmp_path / "kept" / path.name).write_bytes(path.read_bytes())
    found = trained_models(recipes, easy_digits, folder=tmp_path / "kept")
    assert list(found) == list(recipes)
    assert torch.equal(weights_of(found["one"]), weights_of(alone)), "trained again"
    assert found["another"].recipe.model == "V2"
    assert found["another"].card["machine"]["threads"] == 1
    assert len(list((tmp_path / "kept").glob("*.pt"))) == 2
    again = trained_models({"V2": recipes["another"]}, easy_digits, folder=tmp_path / "kept")
    assert again["V2"].card == found["another"].card
    with thread_count(1):  # whatever else is missing
        alone = trained_model(recipes["another"], easy_digits, folder=tmp_path / "alone")
    assert torch.equal(weights_of(alone), weights_of(again["V2"]))
    assert not trained_models({}, easy_digits)


def test_the_longest_training_begins_first():
    costs = [trained._operations(Recipe(name)) for name in ("V0", "A wide", "V2", "E CNN")]
    assert costs == sorted(costs)
    assert trained._operations(Recipe("V0", epochs=5)) > trained._operations(Recipe("V0", epochs=2))


def test_whoever_measures_trains_what_the_library_has_and_the_longest_first(
    easy_digits, tmp_path, monkeypatch
):
    recipe = replace(RECIPE, augment=count)
    trained_model(recipe, easy_digits, folder=tmp_path / "library")
    monkeypatch.setattr(trained, "_LIBRARY", tmp_path / "library")
    BATCHES.clear()
    trained._train_one(easy_digits, recipe, 0, tmp_path / "own")
    assert sum(BATCHES) == 600
    asked = []
    monkeypatch.setattr(trained, "train_and_keep", lambda rows, *_, **__: asked.extend(rows))
    monkeypatch.setattr(trained, "trained_model", lambda *_, **__: None)
    names = ["V0", "E CNN", "A wide", "V2"]
    recipes = {name: Recipe(name) for name in names} | {"V2 again": Recipe("V2")}
    trained_models(recipes, easy_digits, folder=tmp_path / "none")
    assert [row[0].model for row in asked] == ["E CNN", "V2", "A wide", "V0"]
    for published, missing in ((True, []), (False, [recipe])):
        asked.clear()
        trained_models({"it": recipe}, easy_digits, folder=tmp_path / "none", published=published)
        assert [row[0] for row in asked] == missing
