"""Threads are chosen by measurement; data goes to a device once, and nothing waits for it."""

from __future__ import annotations

import time
from contextlib import nullcontext

import pytest
import torch

from mnistkit import epoch, training
from mnistkit.data import load_digits, move_loader
from mnistkit.devices import (
    announce_device,
    choose_device,
    choose_threads,
    describe_device,
    supports_bfloat16,
    thread_count,
)
from mnistkit.models import build_model
from mnistkit.tally import Evaluation
from mnistkit.training import fit, train_one_epoch

META = torch.device("meta")  # a device without numbers: whoever asks for one gets an error


def step_that_takes(milliseconds: dict[int, float]):
    return lambda: time.sleep(milliseconds[torch.get_num_threads()] / 1000)


@pytest.mark.parametrize(
    ("one", "two", "chosen"), [(9, 3, 2), (3, 9, 1), (6, 5.8, 1)]
)  # the last: two threads would save little
def test_the_quicker_number_of_threads_is_chosen(one, two, chosen):
    assert choose_threads(step_that_takes({1: one, 2: two}), [1, 2]) == chosen


def test_quick_steps_are_repeated_until_they_can_be_timed():
    calls = {1: 0, 2: 0}

    def step():
        calls[torch.get_num_threads()] += 1

    choose_threads(step, [1, 2])
    assert min(calls.values()) > 1000


def test_one_thread_is_not_measured():
    assert choose_threads(lambda: pytest.fail("measured"), [3]) == 3


def test_the_number_of_threads_is_restored():
    before = torch.get_num_threads()
    during = []

    def fail():
        during.append(torch.get_num_threads())
        raise KeyError

    with pytest.raises(KeyError), thread_count(before + 1):
        fail()
    assert (during, torch.get_num_threads()) == ([before + 1], before)


@pytest.fixture
def two_threads(monkeypatch):
    monkeypatch.setattr(training, "_THREADS", {})
    with thread_count(2):
        yield


def test_fit_trains_with_what_it_measured_and_measures_once(easy_digits, two_threads, monkeypatch):
    seen = []
    monkeypatch.setattr(training, "choose_threads", lambda step: seen.append(step()) or 1)
    loader = easy_digits.train.loader(64, shuffle=True)
    during = []
    for seed in range(2):
        history = fit(
            build_model("V1", seed=seed), loader, epochs=1, device="cpu",
            after_epoch=lambda model: {"n": during.append(torch.get_num_threads()) or 0},
        )  # fmt: skip
        assert history.threads == 1
    assert (during, len(seen)) == ([1, 1], 1)
    assert torch.get_num_threads() == 2


def test_measuring_changes_neither_weights_nor_order(easy_digits, two_threads, monkeypatch):
    weights = []
    for threads in ("auto", 2):
        monkeypatch.setattr(training, "choose_threads", lambda step: [step(), step()] and 2)
        model = build_model("B MLP", seed=0)  # with dropout: random state counts
        loader = easy_digits.train.loader(64, shuffle=True)
        history = fit(model, loader, epochs=2, threads=threads, device="cpu")
        assert history.threads == 2
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(*weights)


@pytest.mark.parametrize("threads", [0, 1.5, True, "all"])
def test_a_bad_number_of_threads_is_named(easy_digits, threads):
    with pytest.raises(ValueError, match=f"threads is {threads!r}, expected 1 or more, or 'auto'"):
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
    with pytest.raises(ValueError, match="MNISTKIT_DEVICE: device 'warp' is not here"):
        choose_device()


def test_the_first_digits_of_a_process_say_what_is_computed_with(monkeypatch, capsys):
    monkeypatch.setenv("MNISTKIT_BFLOAT16", "0")
    announce_device.cache_clear()
    for _ in range(2):
        with thread_count(2):
            load_digits("sample", limit=20)
    assert capsys.readouterr().out == "device: cpu, up to 2 threads, float32\n"


def test_bfloat16_can_be_switched_off(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    assert supports_bfloat16(torch.device("cpu"))
    monkeypatch.setenv("MNISTKIT_BFLOAT16", "0")
    assert not supports_bfloat16(torch.device("cpu"))


# --- another device -------------------------------------------------------------------


def test_a_loader_is_moved_with_all_its_digits(easy_digits):
    loader = move_loader(easy_digits.train.loader(32, normalized=True, shuffle=True), META)
    assert loader.dataset.normalized
    assert loader.dataset.images.device == META
    shapes = [(tuple(images.shape), images.device, labels.device) for images, labels in loader]
    assert shapes == [((32, 1, 28, 28), META, META)] * 18 + [((24, 1, 28, 28), META, META)]


def test_the_moved_loader_draws_its_order_as_before(easy_digits):
    here, there = (easy_digits.train.loader(32, shuffle=True, seed=5) for _ in range(2))
    moved = move_loader(there, META)
    assert moved.sampler.sampler is there.sampler.sampler
    for _ in range(2):
        assert len(list(here)) == len(list(moved))
        assert torch.equal(here.generator.get_state(), moved.generator.get_state())
    assert {places.device for places in moved.sampler} == {META}
    list(here.sampler)
    moved.sampler.device = torch.device("cpu")  # so that its places can be read
    assert torch.equal(torch.cat(list(moved.sampler)), torch.cat(list(here.sampler)))


def test_loaders_of_other_kinds_stay_as_they_are(easy_digits):
    ordinary = torch.utils.data.DataLoader(easy_digits.train.dataset(), batch_size=32)
    assert move_loader(ordinary, META) is ordinary
    ours = easy_digits.train.loader(32)
    assert move_loader(ours, torch.device("cpu")) is ours


def test_fit_moves_both_loaders_once(easy_digits, monkeypatch):
    seen = []

    def one_epoch(model, loader, *_, **__):
        seen.append(loader)
        return Evaluation(0.5, 0.5, 1)

    monkeypatch.setattr(training, "train_one_epoch", one_epoch)
    monkeypatch.setattr(training, "evaluate", one_epoch)
    loaders = easy_digits.train.loader(64, shuffle=True), easy_digits.validation.loader(64)
    fit(build_model("V0"), *loaders, epochs=2, device="meta", optimizer=torch.optim.SGD)
    assert {loader.dataset.images.device for loader in seen} == {META}
    assert len({id(loader) for loader in seen}) == 2


def test_an_epoch_asks_the_device_for_no_number(easy_digits, monkeypatch):
    monkeypatch.setattr(epoch, "choose_autocast", lambda *_: nullcontext())
    model = build_model("V2").to(META)
    loader = move_loader(easy_digits.train.loader(5, shuffle=True), META)  # 120 batches
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    seen = []
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        train_one_epoch(
            model, loader, torch.nn.functional.cross_entropy, optimizer,
            after_batch=lambda number, loss: seen.append(number),
        )  # fmt: skip
    assert len(seen) == 120, "a number was asked for before the end of the epoch"
