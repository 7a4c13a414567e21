"""The reader that comes with mnistkit: whole, as good as its card says, and quick at hand."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import pytest
import torch
from PIL import Image

from mnistkit.errors import CheckpointError
from mnistkit.handwriting import reader
from mnistkit.handwriting.photographs import draw_mask, on_paper
from mnistkit.handwriting.predict import predict_image
from mnistkit.handwriting.reader import load_reader, read_card
from mnistkit.models import count_parameters


def test_it_is_small_and_ready():
    model = load_reader()
    assert not model.training
    assert count_parameters(model) <= 150_000
    assert reader.WEIGHTS.stat().st_size < 500_000
    assert 0.1 < model.least_probability < 1
    assert next(model.parameters()).dtype == torch.float32
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_weights_are_read_as_weights_and_are_those_of_the_card():
    state = torch.load(reader.WEIGHTS, weights_only=True)
    assert {tensor.dtype for tensor in state.values()} == {torch.float16, torch.int64}
    assert hashlib.sha256(reader.WEIGHTS.read_bytes()).hexdigest() == read_card()["sha256"]


def test_it_reads_the_digits_that_come_with_the_tests():
    model = load_reader()
    found = [predict_image(model, on_paper(draw_mask(digit))) for digit in range(10)]
    assert [prediction.label for prediction in found] == list(range(10))
    assert all(prediction.known for prediction in found)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda weights, card: weights.write_bytes(weights.read_bytes()[:5000]), "reader.pt"),
        (lambda weights, card: card.write_text(card.read_text()[:100]), "reader.json is damaged"),
        (lambda weights, card: card.unlink(), "reader.json is damaged"),
        (lambda weights, card: weights.unlink(), "there is no file reader.pt"),
        (
            lambda weights, card: card.write_text(
                json.dumps(json.loads(card.read_text()) | {"sha256": "0" * 64})
            ),
            "its SHA-256 is not what the card says",
        ),
    ],
)
def test_damage_is_named(tmp_path, monkeypatch, damage, message):
    for name in ("WEIGHTS", "CARD"):
        copy = tmp_path / getattr(reader, name).name
        copy.write_bytes(getattr(reader, name).read_bytes())
        monkeypatch.setattr(reader, name, copy)
    load_reader()
    damage(reader.WEIGHTS, reader.CARD)
    with pytest.raises(CheckpointError, match=message):
        load_reader()


def test_a_photo_is_read_without_data_and_without_training(tmp_path):
    """In a folder with nothing in it, and with no place for data."""
    photo = tmp_path / "photo.png"
    Image.fromarray(on_paper(draw_mask(7))).save(photo)
    place = {"MNISTKIT_DATA": str(tmp_path / "none")}
    done = subprocess.run(
        [sys.executable, "-c", "from mnistkit.cli import main; main()", "predict", str(photo)],
        cwd=tmp_path, env=os.environ | place, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "photo.png: 7 (" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo.png"]
