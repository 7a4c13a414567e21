"""A model is trained once, found again, and never mistaken for another."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mnistkit import trained
from mnistkit.errors import CheckpointError, ResultError
from mnistkit.models import build_model
from mnistkit.recipes import Recipe
from mnistkit.trained import trained_model

RECIPE = Recipe("E MLP", epochs=1)


def weights_of(found) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in found.model.parameters()])


@pytest.fixture
def kept(easy_digits, tmp_path):
    return trained_model(RECIPE, easy_digits, folder=tmp_path)


def test_it_is_trained_once(kept, easy_digits, tmp_path, monkeypatch):
    monkeypatch.setattr(trained, "train_recipe", lambda *_: pytest.fail("trained again"))
    again = trained_model(RECIPE, easy_digits, folder=tmp_path)
    assert torch.equal(weights_of(again), weights_of(kept))
    assert again.card == kept.card
    assert not again.model.training


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


def test_half_a_model_is_trained_again(kept, easy_digits, tmp_path):
    (card,) = tmp_path.glob("*.json")
    card.unlink()
    assert torch.equal(
        weights_of(trained_model(RECIPE, easy_digits, folder=tmp_path)), weights_of(kept)
    )
