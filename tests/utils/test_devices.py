"""Threads and precision follow a rule; data goes to a device once, and nothing waits for it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import nullcontext

import pytest
import torch

from mnistkit import training
from mnistkit.data import Batches, load_digits, make_loader
from mnistkit.experiments.stack import fit_stack
from mnistkit.models import build_model
from mnistkit.training import fit, train_one_epoch
from mnistkit.utils import devices
from mnistkit.utils.devices import (
    announce_device,
    choose_device,
    describe_device,
    supports_bfloat16,
    thread_count,
    workers_of_one_thread,
)

META = torch.device("meta")  # a device without numbers: whoever asks for one gets an error


def test_the_number_of_threads_is_restored():
    before = torch.get_num_threads()
    during = []

    def fail():
        during.append(torch.get_num_threads())
        raise KeyError

    with pytest.raises(KeyError), thread_count(before + 1):
        fail()
    assert (during, torch.get_num_threads()) == ([before + 1], before)


@pytest.mark.parametrize(("name", "expected"), [("V1", 1), ("D deep", 1), ("V2", 2)])
def test_convolutions_get_all_threads_and_other_models_one(easy_digits, name, expected):
    during = []
    with thread_count(2):
        history = fit(
            build_model(name, seed=0), easy_digits.train.loader(300, shuffle=True), epochs=1,
            device="cpu", after_epoch=lambda _: {"n": during.append(torch.get_num_threads()) or 0},
        )  # fmt: skip
        assert torch.get_num_threads() == 2
    assert (history.threads, during) == (expected, [expected])


@pytest.mark.parametrize("members", [2, 16])
def test_a_stack_of_small_models_gets_one_thread_as_each_would_alone(easy_digits, members):
    during = []

    class Watched(torch.utils.data.TensorDataset):
        def __getitem__(self, index):
            during.append(torch.get_num_threads())
            return super().__getitem__(index)

    digits = Watched(easy_digits.train.inputs(), easy_digits.train.labels)
    loader = make_loader(digits, 200, shuffle=True)
    during.clear()  # a look at the first digits
    with thread_count(2):
        histories = fit_stack(
            [build_model("V0", seed=seed) for seed in range(members)], loader, epochs=1
        )
    assert [history.threads for history in histories] == [1] * members
    assert set(during) == {1}
    assert len(during) == 3 * (1 if members < 16 else 2), "a part for each core"


FIT = """
import hashlib
from mnistkit import build_model, fit, load_digits

def digests():
    digits = load_digits("sample", limit=400)
    for name in ("D deep", "V2"):
        model = build_model(name, seed=0)
        train = digits.train.loader(64, shuffle=True)
        fit(model, train, digits.validation.loader(100), epochs=1, device="cpu")
        weights = b"".join(p.detach().numpy().tobytes() for p in model.parameters())
        yield hashlib.sha256(weights).hexdigest()
"""


def test_the_default_fit_repeats_bit_for_bit_in_another_process():
    """While both run side by side, so that each is disturbed by the other."""
    command = [sys.executable, "-c", f"{FIT}\nprint(*digests())"]
    two_threads = os.environ | {"OMP_NUM_THREADS": "2"}
    there = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=two_threads)
    exec(FIT, here := {})
    with thread_count(2):
        mine = list(here["digests"]())
    assert there.communicate()[0].split()[-2:] == mine
    assert mine[0] != mine[1]


@pytest.mark.parametrize("threads", [0, 1.5, True, "all"])
def test_a_bad_number_of_threads_is_named(easy_digits, threads):
    with pytest.raises(ValueError, match=f"threads is {threads!r}, expected 1 to 1024, or 'auto'"):
        fit(build_model("V0"), easy_digits.train.loader(64), threads=threads)


def test_auto_takes_the_cpu_where_only_apples_gpu_is_there_and_mps_on_request(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device() == torch.device("cpu")
    assert describe_device(choose_device()).endswith("MNISTKIT_DEVICE=mps takes the GPU, "
                                                     "whose results differ")  # fmt: skip
    monkeypatch.setattr(torch, "empty", lambda *_, device: device)  # as on a Mac
    monkeypatch.setenv("MNISTKIT_DEVICE", "mps")
    assert choose_device() == torch.device("mps")
    assert choose_device("cpu") == torch.device("cpu"), "what a call says comes first"


def test_auto_takes_cuda_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device() == torch.device("cuda")
    monkeypatch.setenv("MNISTKIT_DEVICE", "cpu")
    assert choose_device() == torch.device("cpu")


def test_a_device_in_the_environment_that_is_not_here_is_named_with_where_it_was_asked(monkeypatch):
    monkeypatch.setenv("MNISTKIT_DEVICE", "warp")
    with pytest.raises(ValueError, match="MNISTKIT_DEVICE: device 'warp' is none that is known"):
        choose_device()


def test_the_first_digits_of_a_process_say_what_is_computed_with(monkeypatch, capsys):
    monkeypatch.setenv("MNISTKIT_BFLOAT16", "0")
    announce_device.cache_clear()
    for _ in range(2):
        with thread_count(2):
            load_digits("sample", limit=20)
    assert capsys.readouterr().out == "device: cpu, 2 threads for convolutions, float32\n"


def has_bfloat16(monkeypatch, *, gain: float, native: bool = True) -> None:
    """A CPU that has it or not, and multiplies in it so many times as fast."""
    capabilities = {"avx512_bf16": native}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    monkeypatch.setattr(devices, "bfloat16_gain", lambda: gain)


@pytest.mark.parametrize(
    ("native", "gain", "taken"), [(True, 2.2, True), (True, 0.5, False), (False, 2.2, False)]
)
def test_bfloat16_is_taken_where_it_is_there_and_much_faster(monkeypatch, native, gain, taken):
    has_bfloat16(monkeypatch, gain=gain, native=native)
    assert supports_bfloat16(torch.device("cpu")) is taken


def test_the_gain_is_the_ratio_of_the_quickest_products_and_measured_once(monkeypatch):
    # Of six rounds all but one are disturbed; 3 ms against 2 ms remain.
    ticks = iter(clock([30, 3, 90, 30, 30, 30], [50, 20, 2, 20, 20, 20]))
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks))
    devices.bfloat16_gain.cache_clear()
    try:
        assert devices.bfloat16_gain() == pytest.approx(1.5)
        assert devices.bfloat16_gain() == pytest.approx(1.5)
        assert next(ticks, None) is None, "each was timed once"
    finally:
        devices.bfloat16_gain.cache_clear()


def clock(float32: list[float], bfloat16: list[float]):
    """Readings of a clock before and after each product, which take so many milliseconds."""
    now = 0.0
    for pair in zip(float32, bfloat16, strict=True):
        for milliseconds in pair:
            yield now
            now += milliseconds / 1000
            yield now


@pytest.mark.parametrize("off", ["0", "no", "off", "False"])
def test_bfloat16_can_be_switched_off(monkeypatch, off):
    has_bfloat16(monkeypatch, gain=2.2)
    assert supports_bfloat16(torch.device("cpu"))
    monkeypatch.setenv("MNISTKIT_BFLOAT16", off)
    assert not supports_bfloat16(torch.device("cpu"))


# --- another device -------------------------------------------------------------------


def test_a_loader_is_moved_with_all_its_digits(easy_digits):
    loader = easy_digits.train.loader(32, normalized=True, shuffle=True).to(META)
    assert loader.dataset.normalized
    assert loader.dataset.images.device == META
    shapes = [(tuple(images.shape), images.device, labels.device) for images, labels in loader]
    assert shapes == [((32, 1, 28, 28), META, META)] * 18 + [((24, 1, 28, 28), META, META)]


def test_the_moved_loader_draws_its_order_as_before(easy_digits):
    here, there = (easy_digits.train.loader(32, shuffle=True, seed=5) for _ in range(2))
    moved = there.to(META)
    assert moved.generator is there.generator
    for _ in range(2):
        assert len(list(here)) == len(list(moved))
        assert torch.equal(here.generator.get_state(), moved.generator.get_state())
    assert torch.equal(here.draw_order(), moved.draw_order())


def test_a_loader_of_another_dataset_stays_where_it_is():
    whole = torch.utils.data.TensorDataset(torch.rand(5, 1), torch.arange(5))
    loader = make_loader(torch.utils.data.Subset(whole, torch.arange(5)), 2)
    assert loader.to(META) is loader


class CountedBatches(Batches):
    """The batches of a loader, which count the passes over them and keep what was moved."""

    def __init__(self, loader: Batches):
        vars(self).update(vars(loader), passes=0, moved=[])

    def to(self, device: torch.device) -> CountedBatches:
        self.moved.append(super().to(device))
        return self.moved[-1]

    def __iter__(self):
        self.passes += 1
        return super().__iter__()


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_fit_moves_both_loaders_once(easy_digits, device):
    splits = easy_digits.train, easy_digits.validation
    loaders = [CountedBatches(split.loader(64)) for split in splits]
    with nullcontext() if device == "cpu" else pytest.raises(RuntimeError, match="meta"):
        fit(build_model("V0"), *loaders, epochs=2, device=device, optimizer=torch.optim.SGD)
    moved = [copy for loader in loaders for copy in loader.moved]
    assert [copy.dataset.images.device.type for copy in moved] == [device, device]
    assert [loader.passes for loader in loaders] == [0, 0]
    if device == "cpu":  # on the other no epoch comes to its end
        assert [copy.passes for copy in moved] == [2, 2]


def test_an_epoch_asks_the_device_for_no_number(easy_digits, monkeypatch):
    monkeypatch.setattr(training, "choose_autocast", lambda *_: nullcontext())
    model = build_model("V2").to(META)
    loader = easy_digits.train.loader(5, shuffle=True).to(META)  # 120 batches
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    seen = []
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        train_one_epoch(
            model, loader, torch.nn.functional.cross_entropy, optimizer,
            after_batch=[lambda: seen.append(1)],
        )  # fmt: skip
    assert len(seen) == 120, "a number was asked for before the end of the epoch"


def test_workers_compute_on_one_thread_each_and_as_many_as_there_are_threads():
    with thread_count(3):
        with workers_of_one_thread(torch.device("cpu")) as workers:
            met = threading.Barrier(3, timeout=20)  # three are at work at the same time

            def threads(_: int) -> int:
                met.wait()
                return torch.get_num_threads()

            assert list(workers.map(threads, range(3))) == [1, 1, 1]
        assert torch.get_num_threads() == 3


def test_a_gpu_has_one_worker():
    with workers_of_one_thread(torch.device("meta")) as workers:
        assert len({*workers.map(lambda _: threading.get_ident(), range(20))}) == 1


def test_workers_that_are_left_begin_nothing_more():
    begun = []

    def work(place: int) -> None:
        begun.append(place)
        if place == 0:
            raise KeyboardInterrupt
        time.sleep(0.01)

    with thread_count(2):
        with pytest.raises(KeyboardInterrupt), workers_of_one_thread(torch.device("cpu")) as them:
            list(them.map(work, range(1000)))
        assert torch.get_num_threads() == 2
    assert len(begun) < 500
