"""The benchmark measures what it says: both sides, in turn, on the same digits."""

from __future__ import annotations

import copy
import json

import pytest
import torch

from mnistkit.data import Digits
from mnistkit.transfer import load_mobilenet
from tests.benchmarks import __main__ as benchmark
from tests.benchmarks import limits, report, scaling, tried, usual
from tests.conftest import make_split

MACHINE = {
    "bfloat16": False, "float32_rate": 1e11, "bfloat16_rate": 2e11, "copy_rate": 1e10,
    "processor": "a processor", "cores": 2, "device": "cpu", "torch": "2.15.0+cu130",
}  # fmt: skip


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.setattr(benchmark, "REPEATS", 1)
    monkeypatch.setattr(benchmark, "STACK", 8)
    splits = make_split(90, 0), make_split(0, 0), make_split(20, 1)
    return benchmark.Bench(Digits(*splits, "easy"), MACHINE)


def test_every_kind_of_training_is_measured(bench, capsys):
    bench.epoch("an epoch", "V2", 32, (5.0, 4.0), sgd=0.1)
    bench.threads()
    bench.stack()
    bench.beside_a_busy_program()
    assert len(bench.rows) == 1 + 4 + 2 + 5
    assert all(row.usual > 0 and row.ours > 0 for row in bench.rows)
    assert 0 < bench.rows[0].share < 1
    lines = capsys.readouterr().out.splitlines()
    assert "an epoch" in lines[0]
    assert "4.0 x" in lines[0]


def test_a_second_visit_reads_what_was_kept(bench):
    head, read = bench._head_seconds(load_mobilenet("random")[0])
    assert 0 < read < 60
    assert head > 0


def test_a_product_of_patches_is_a_convolution(monkeypatch):
    patches, maps = (tried.Patches(4, patches=patches) for patches in (True, False))
    weights = maps.state_dict()
    weights["first.weight"] = weights["first.weight"].flatten(1)
    patches.load_state_dict(weights)
    images = torch.rand(3, 1, 28, 28)
    assert torch.allclose(patches(images), maps(images), atol=1e-5)
    monkeypatch.setattr(tried, "BATCHES", 2)
    shared = []
    assert tried.milliseconds(maps, 2, lambda found: shared.append(found.abs().sum()), 1) > 0
    assert len(shared) == 4
    assert all(one > 0 for one in shared)


def test_repeats_are_interleaved(monkeypatch):
    order = []
    monkeypatch.setattr(benchmark, "REPEATS", 3)
    benchmark.interleaved(lambda: order.append("a"), lambda: order.append("b"))
    assert order == list("ababab")


def test_the_usual_way_serves_what_torchvision_would():
    digits = make_split(10, 0)
    images, labels = next(iter(usual.loader(digits, 4)))
    assert images.shape == (4, 1, 28, 28)
    plain = digits.inputs(normalized=True)
    for image, label in zip(images, labels, strict=True):
        place = next(n for n in range(10) if torch.allclose(plain[n], image, atol=1e-5))
        assert digits.labels[place] == label


def test_operations_are_counted():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
    # forward, and the gradient of the weights; none is needed of the input
    assert limits.training_operations(model, torch.rand(1, 1, 28, 28)) == 2 * 2 * 7840


RESULTS = {
    "machine": MACHINE, "source": "mnist", "date": "2026-01-02", "apart": {"load": 0.5},
    "rows": [
        {"what": "an epoch", "usual": 6.0, "ours": 0.8, "ratio": 7.5, "note": "", "share": 0.164},
        {"what": "a visit", "usual": 11388.0, "ours": 5.7, "ratio": 1998.0, "note": "read"},
    ],
}  # fmt: skip


def test_the_report_shows_seconds_ratios_and_the_machine():
    without = copy.deepcopy(RESULTS)
    without["rows"] = [without["rows"][0] | {"ratio": 3.21}]
    text = report.to_markdown(RESULTS, without)
    assert ("| an epoch | 6.0 s | 0.80 s | 7.5 (16% of the limit) | 3.2 (16% of the limit) |"
            in text)  # fmt: skip
    assert "| a visit (read) | 11,388 s | 5.7 s | 1,998 |  |" in text
    for part in ("a processor, 2 cores, cpu, PyTorch 2.15.0, 2026-01-02",
                 "to load 0.5 s", "100 G operations/s in float32"):  # fmt: skip
        assert part in text


def test_rows_that_are_measured_again_take_the_place_of_the_old_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "PUBLISHED", {False: tmp_path / "results.json"})
    report.PUBLISHED[False].write_text(json.dumps(RESULTS))
    again = {"what": "a visit", "usual": 9.0, "ours": 3.0, "ratio": 3.0, "note": "", "wanted": 4.0}
    new = RESULTS | {"rows": [again], "apart": {"import": 1.0}}
    merged = report.merged(new)
    assert merged["rows"] == [RESULTS["rows"][0], again]
    assert merged["apart"] == {"load": 0.5, "import": 1.0}
    assert "| a visit | 9.0 s | 3.0 s | 3.0 (aim 4.0) |  |" in report.to_markdown(
        merged, RESULTS | {"rows": []}
    )
    with pytest.raises(ValueError, match="of a processor, these of another: measure all"):
        report.merged(new | {"machine": MACHINE | {"processor": "another"}})


def test_only_results_on_full_mnist_are_published():
    with pytest.raises(ValueError, match="results on sample are not published"):
        report.publish(RESULTS | {"source": "sample"})


def test_a_sweeps_growth_is_arithmetic():
    costs = scaling.Costs(run=10, send_near=0.001, send_far=0.01, start_far=3, read=0.005,
                          size=2000, digits=55_000_000, machine="2 cores")  # fmt: skip
    text = scaling.to_markdown(costs)
    # 1,000 runs of 10 s on 2 cores take 5,000 s. On 1,024 cores the last of them is sent after
    # 10 s, at 10 ms a call, and takes 10 s from then on, with 3 s before the first.
    assert "| 1,000 | 83 min | 3 min | 23 s | 10 s | 5 s | 2 MB |" in text
    assert "| 100,000 | 138.9 h | 4.3 h | 17 min | 17 min | 8 min | 200 MB |" in text
    assert "about 1,000 cores busy" in text


def test_the_readme_shows_the_measured_growth():
    costs = scaling.Costs(**json.loads(scaling.STORED.read_text()))
    assert scaling.to_markdown(costs) in scaling.README.read_text("utf-8")
