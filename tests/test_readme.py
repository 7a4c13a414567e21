"""The README's numbers are those that the committed notebooks recorded."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mnistkit.records import read_records

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()

# What each row of the table stands for: notebook and recorded number.
ROWS = {
    "V0": ("02_linear_vs_relu", "V0 test accuracy"),
    "V1": ("02_linear_vs_relu", "V1 test accuracy"),
    "V1 without its last ReLU": ("02_linear_vs_relu", "V1 corrected test accuracy"),
    "MLP 784-128-64-10": ("03_mlp_tuning_qmnist", "A baseline test accuracy"),
    "MLP 784-256-64-10": ("03_mlp_tuning_qmnist", "A wide test accuracy"),
    "best: SGD, ReLU": ("03_mlp_tuning_qmnist", "A best (SGD) test accuracy"),
    "worst: SGD, sigmoid": ("03_mlp_tuning_qmnist", "A worst (SGD, sigmoid) test accuracy"),
    "simple MLP": ("03_mlp_tuning_qmnist", "B MLP test accuracy"),
    "MLP 784-100-10": ("03_mlp_tuning_qmnist", "E MLP test accuracy"),
    "deep MLP": ("03_mlp_tuning_qmnist", "D deep test accuracy"),
    "V2": ("04_cnn", "V2 test accuracy"),
    "CNN, as published": ("04_cnn", "E CNN test accuracy"),
    "CNN without its softmax": ("04_cnn", "E CNN corrected test accuracy"),
    "CNN, one epoch": ("04_cnn", "B CNN test accuracy"),
    "MobileNetV2, frozen": ("05_mobilenet_transfer", "MobileNetV2 head test accuracy"),
}


def table() -> dict[str, tuple[str, str]]:
    found = re.findall(r"^\| [A-E] \| (.+?) \| .+? \| (.+?) \| (\d+) \|$", README, flags=re.M)
    return {model: (here, n) for model, here, n in found}


def test_the_table_has_every_row():
    assert set(table()) == set(ROWS)


@pytest.mark.parametrize("model", ROWS)
def test_number_is_the_recorded_one(model):
    notebook, name = ROWS[model]
    records = {r.name: r for r in read_records(ROOT / "notebooks" / f"{notebook}.ipynb")}
    assert table()[model] == (str(records[name]), str(records[name].n))


def test_links_and_pictures_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_library_example_runs(monkeypatch, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    monkeypatch.setenv("MNISTKIT_SOURCE", "sample")
    exec(compile(example, "README.md", "exec"), {})
    assert re.search(r"tensor\(\[(\d, ){8}\d\]\)", capsys.readouterr().out)
