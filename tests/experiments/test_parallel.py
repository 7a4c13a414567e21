"""Runs come back whole from processes and clusters, also where one of them dies."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
import psutil
import pytest

from mnistkit.errors import MissingPackageError, WorkerError
from mnistkit.experiments import parallel
from mnistkit.experiments.experiment import run_grid
from mnistkit.experiments.parallel import run_in_parallel
from mnistkit.experiments.recipe import Recipe
from mnistkit.experiments.results import read_result
from tests.experiments.calls import Noted, add, die, fail, say_process

RECIPES = {"V0": Recipe("V0", epochs=2), "dropout": Recipe("A baseline", {"dropout": 0.2}, 2)}
BIN = Path(sys.executable).parent
HANGS = 600  # seconds: what takes longer never ends, however slow the machine


def test_each_result_comes_with_its_place():
    rows = [(number,) for number in range(7)]
    assert sorted(run_in_parallel(add, rows, 10, jobs=2)) == [(i, 10 + i) for i in range(7)]
    assert list(run_in_parallel(add, [], 10)) == []


def test_what_a_call_raises_is_raised():
    with pytest.raises(ValueError, match=r"no\. 0 cannot be done"):
        list(run_in_parallel(fail, [(0,)], None))


def test_a_killed_process_is_named():
    with pytest.raises(WorkerError, match=r"was killed.*\n.*start again: stored runs"):
        list(run_in_parallel(die, [(number,) for number in range(4)], None, jobs=2))


@pytest.mark.long
def test_a_grid_goes_on_when_a_process_is_killed(easy_digits, tmp_path, capsys):
    """Memory was short, say; what was finished is not done again."""
    serial = run_grid(RECIPES, range(8), easy_digits, jobs=1)
    when_killed: dict[str, int] = {}

    def kill_one():
        while not when_killed:
            time.sleep(0.005)
            when_killed.update(times(tmp_path))
        next(child for child in psutil.Process().children() if "loky" in str(child.cmdline())
             and "resource_tracker" not in str(child.cmdline())).kill()  # fmt: skip

    killer = threading.Thread(target=kill_one)
    killer.start()
    frame = run_grid(RECIPES, range(8), easy_digits, folder=tmp_path, jobs=2)
    killer.join()
    assert "a process that computed was killed; going on with the other" in capsys.readouterr().out
    pd.testing.assert_frame_equal(serial.drop(columns="seconds"), frame.drop(columns="seconds"))
    after = times(tmp_path)
    assert {name: after[name] for name in when_killed} == when_killed
    assert len(after) == 16


ORPHAN = """
import os, time
from mnistkit.experiments import parallel

caller = os.getppid()
os.getppid = lambda: caller  # on Windows it stays the same for ever
parallel._call(0, lambda _: print(os.getpid(), flush=True), None, (), caller)
time.sleep(600)
"""
CALLER = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {ORPHAN!r}])
"""


@pytest.mark.parametrize("waited_for", [True, False], ids=["gone", "a zombie"])
def test_a_process_ends_soon_after_the_one_that_started_it(waited_for):
    """Also where its number of that one never changes, as on Windows."""
    with subprocess.Popen([sys.executable, "-c", CALLER], stdout=subprocess.PIPE) as caller:
        orphan = psutil.Process(int(caller.stdout.readline()))
        time.sleep(1)
        assert orphan.is_running(), "it must not end before"
        caller.kill()
        if waited_for:
            caller.wait()
        try:
            assert psutil.wait_procs([orphan], timeout=60)[1] == []
        finally:
            with suppress(psutil.NoSuchProcess):
                orphan.kill()


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.json")}


# --- a cluster ----------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def _environment_as_it_was():
    """A cluster sets numbers of threads for the whole process that starts it."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def cluster():
    from distributed import LocalCluster

    options = {"processes": True, "dashboard_address": ":0", "protocol": "tcp://"}
    with LocalCluster(n_workers=2, threads_per_worker=1, **options) as cluster:
        yield cluster


def test_a_cluster_gives_the_same_rows_as_one_process(cluster, easy_digits, tmp_path):
    serial = run_grid(RECIPES, range(3), easy_digits, test=True, jobs=1)
    spread = run_grid(RECIPES, range(3), easy_digits, test=True, folder=tmp_path,
                      scheduler=cluster.scheduler_address)  # fmt: skip
    pd.testing.assert_frame_equal(serial.drop(columns="seconds"), spread.drop(columns="seconds"))
    paths = list(tmp_path.iterdir())
    assert len(paths) == 6
    assert {read_result(path).machine["threads"] for path in paths} == {1}


def test_data_reaches_each_worker_once(cluster, tmp_path):
    rows = [(number,) for number in range(12)]
    address = cluster.scheduler_address
    used = {pid for _, pid in run_in_parallel(say_process, rows, Noted(tmp_path),
                                              scheduler=address)}  # fmt: skip
    unpacked = sorted(path.name.split()[0] for path in tmp_path.iterdir())
    assert len(used) == 2
    assert [pid for pid in unpacked if int(pid) != os.getpid()] == sorted(map(str, used))


def test_one_worker_is_a_cluster_too():
    """joblib alone would compute in this process, where a cluster has one core."""
    from distributed import LocalCluster

    options = {"processes": True, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(n_workers=1, **options) as small:
        rows = [(1,), (2,)]
        found = list(run_in_parallel(say_process, rows, 0, scheduler=small.scheduler_address))
    assert os.getpid() not in {pid for _, pid in found}
    assert len(found) == 2


def test_a_worker_killed_in_the_middle_loses_nothing(cluster, easy_digits, tmp_path):
    longer = {"A": Recipe("A baseline", epochs=12)}
    serial = run_grid(longer, range(8), easy_digits, jobs=1)

    def kill_one():
        while not list(tmp_path.glob("*.json")):
            time.sleep(0.005)
        psutil.Process(next(iter(cluster.workers.values())).pid).kill()

    killer = threading.Thread(target=kill_one)
    killer.start()
    spread = run_grid(longer, range(8), easy_digits, folder=tmp_path,
                      scheduler=cluster.scheduler_address)  # fmt: skip
    killer.join()
    pd.testing.assert_frame_equal(serial.drop(columns="seconds"), spread.drop(columns="seconds"))
    assert len(list(tmp_path.iterdir())) == 8


def test_a_run_that_kills_every_worker_is_given_up(cluster):
    with pytest.raises(WorkerError, match="was killed, or its cluster was stopped"):
        list(run_in_parallel(die, [(2,)], None, scheduler=cluster.scheduler_address))


def test_what_a_call_raises_on_a_cluster_is_raised(cluster):
    with pytest.raises(ValueError, match=r"no\. 5 cannot be done"):
        list(run_in_parallel(fail, [(5,)], None, scheduler=cluster.scheduler_address))


def test_a_worker_with_another_version_is_refused(cluster, monkeypatch):
    monkeypatch.setattr(parallel, "__version__", "9.9")
    with pytest.raises(WorkerError, match=r"has mnistkit 0\.1\.0, and this is 9\.9"):
        list(run_in_parallel(add, [(1,)], 0, scheduler=cluster.scheduler_address))


@pytest.fixture
def impatience(monkeypatch):
    """Half a second for what does not come."""
    monkeypatch.setattr(parallel, "_WAIT", 0.5)


@pytest.mark.usefixtures("impatience")
def test_a_missing_scheduler_is_named():
    with pytest.raises(WorkerError, match=r"answers at tcp://127\.0\.0\.1:\d+\n.*dask scheduler"):
        list(run_in_parallel(add, [(1,)], 0, scheduler=f"tcp://127.0.0.1:{free_port()}"))


@pytest.mark.parametrize("address", ["", "nonsense://x:1", "tcp://", "localhost:8786", 8786])
def test_an_address_that_is_none_is_named(address):
    with pytest.raises(WorkerError, match=r"is no address of a scheduler\n.*tcp://HOST:8786"):
        list(run_in_parallel(add, [(1,)], 0, scheduler=address))


@pytest.mark.usefixtures("impatience")
def test_a_cluster_without_workers_is_named():
    from distributed import LocalCluster

    with (
        LocalCluster(n_workers=0, dashboard_address=":0") as empty,
        pytest.raises(WorkerError, match="has no workers"),
    ):
        list(run_in_parallel(add, [(1,)], 0, scheduler=empty.scheduler_address))


def test_a_worker_of_several_threads_is_refused():
    """Two trainings in one process would draw from the same random numbers."""
    from distributed import LocalCluster

    options = {"processes": False, "dashboard_address": ":0"}
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, **options) as threaded,
        pytest.raises(WorkerError, match=r"has 2 threads.*\n.*--nthreads 1"),
    ):
        list(run_in_parallel(add, [(1,)], 0, scheduler=threaded.scheduler_address))


def test_a_cluster_without_dask_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'mnistkit\[cluster\]'"):
        list(run_in_parallel(add, [(1,)], 0, scheduler="tcp://127.0.0.1:1"))


@pytest.mark.long
@pytest.mark.full
def test_the_commands_of_dask_carry_a_sweep(tmp_path):
    """As the README says it: a scheduler, a worker, and the sweep, each started by itself."""
    from distributed import Client

    plan = tmp_path / "plan.yaml"
    plan.write_text("base: {model: V0, epochs: 1}\ngrid: {learning_rate: [1e-3, 1e-2]}\n")
    address = f"tcp://127.0.0.1:{free_port()}"
    port = address.rpartition(":")[2]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    scheduler = [BIN / "dask", "scheduler", "--host", "127.0.0.1", "--port", port]
    workers = [BIN / "dask", "worker", address, "--nworkers", "1", "--nthreads", "1"]
    with (
        _running([*scheduler, "--no-dashboard"], quiet),
        _running([*workers, "--no-dashboard"], quiet),
    ):
        with Client(address, timeout=HANGS, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=HANGS)
        done = subprocess.run(
            [BIN / "mnistkit", "sweep", plan, "--source", "sample", "--seeds", "0-1",
             "--scheduler", address, "--folder", "out"],
            cwd=tmp_path, capture_output=True, text=True, timeout=HANGS,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "2 recipes x 2 seeds = 4 runs; 0 are in out" in done.stdout
    assert len(list((tmp_path / "out").glob("*.json"))) == 4


class _running:  # noqa: N801, a context manager
    """A process, stopped with all that it started."""

    def __init__(self, command, options):
        self.command, self.options = command, options

    def __enter__(self):
        self.process = psutil.Popen(self.command, **self.options)

    def __exit__(self, *_):
        family = [self.process, *self.process.children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        assert psutil.wait_procs(family, timeout=HANGS)[1] == []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_one_process_trains_one_model_at_a_time():
    """Threads of one process share its random state; a worker that joined late may have two."""
    at_once, most = [], []

    def enter(_shared: object, number: int) -> None:
        at_once.append(number)
        most.append(len(at_once))
        time.sleep(0.02)
        at_once.remove(number)

    threads = [
        threading.Thread(target=parallel._call, args=(0, enter, None, (i,), 0)) for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
