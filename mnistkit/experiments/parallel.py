"""Where runs are computed: in processes of this machine, or on a Dask cluster."""

from __future__ import annotations

import os
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError
from contextlib import contextmanager

import joblib
import psutil

from mnistkit import __version__
from mnistkit.errors import MissingPackageError, WorkerError

_WAIT = 10  # seconds for a scheduler to answer, and for a first worker
_START = (
    "start it with `dask scheduler`, and on each machine "
    "`dask worker tcp://HOST:8786 --nworkers auto --nthreads 1`"
)
_alone = threading.Lock()
_follows = False  # whether this process watches the one that started it


def run_in_parallel(
    function: Callable,
    rows: Sequence[tuple],
    shared: object,
    *,
    jobs: int = -1,
    scheduler: str | None = None,
) -> Iterator[tuple[int, object]]:
    """Call `function(shared, *row)` for each row, side by side; yield (place, result) as they end.

    shared: what every call needs; it reaches each process once.
    jobs: processes of this machine, -1 for one a core; without meaning on a cluster.
    scheduler: address of a Dask scheduler, such as "tcp://10.0.0.5:8786".

    What a process was at when it was killed is done again by another. Raises WorkerError if
    nothing else was finished since, or if there is no scheduler, no worker, or one that is
    not fit for it; MissingPackageError without the extra `mnistkit[cluster]`. What
    `function` raises is raised.
    """
    missing = dict(enumerate(rows))
    jobs = jobs if scheduler else min(jobs, len(rows))
    while missing:
        before = len(missing)
        try:
            for place, result in _run_once(function, dict(missing), shared, jobs, scheduler):
                del missing[place]
                yield place, result
        except (BrokenExecutor, CancelledError) as error:
            if len(missing) == before:
                raise WorkerError(
                    "a process that computed was killed, or its cluster was stopped",
                    do="see whether memory was short, and start again: stored runs are not "
                    "repeated",
                ) from error
            print(f"a process that computed was killed; going on with the other {len(missing)}")


def _run_once(
    function: Callable, rows: Mapping[int, tuple], shared: object, jobs: int, scheduler: str | None
) -> Iterator[tuple[int, object]]:
    call, caller = joblib.delayed(_call), os.getpid()
    tasks = (call(place, function, shared, row, caller) for place, row in rows.items())
    with _computers(scheduler, shared), warnings.catch_warnings():
        # A process that has grown is replaced by a new one; its runs are not lost.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given")
        yield from joblib.Parallel(jobs, return_as="generator_unordered", batch_size=1)(tasks)


def _call(
    place: int, function: Callable, shared: object, row: tuple, caller: int
) -> tuple[int, object]:
    """One call; a process makes one at a time, since its random state is one for all threads."""
    global _follows
    with _alone:
        if not _follows and os.getppid() == caller:
            _follows = True
            threading.Thread(target=_follow, args=(caller,), daemon=True).start()
        return place, function(shared, *row)


def _follow(caller: int) -> None:
    """End this process soon after the one that started it: killed, that could not stop it."""
    parent = psutil.Process().parent()  # None if another process has its number by now
    while os.getppid() == caller and parent is not None and _runs(parent):
        time.sleep(0.5)
    os._exit(1)


def _runs(process: psutil.Process) -> bool:
    """Whether a process is still there: on Windows its children keep its number as their parent."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def _computers(scheduler: str | None, shared: object) -> Iterator[None]:
    if scheduler is None:
        yield
        return
    with _connect(scheduler) as client:
        _check_workers(client)
        options = {"client": client, "scatter": [shared]}
        with joblib.parallel_config(backend="dask", **options) as config:
            _keep_away(config["backend"])
            yield


def _keep_away(backend) -> None:
    """Keep joblib from computing here, which it does where a cluster has one core only."""
    cores = backend.effective_n_jobs
    backend.effective_n_jobs = lambda n_jobs: max(2, cores(n_jobs))


def _connect(scheduler: str):
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingPackageError(
            "a cluster needs Dask, which is not installed", do="pip install 'mnistkit[cluster]'"
        ) from error
    if not re.fullmatch(r"inproc://\S+|(tcp|tls|ws|wss|ucx)://[^\s:]+:\d+", str(scheduler)):
        raise WorkerError(
            f"{scheduler!r} is no address of a scheduler", do="say tcp://HOST:8786, for instance"
        )
    try:
        return Client(scheduler, timeout=_WAIT, set_as_default=False)
    except OSError as error:
        raise WorkerError(f"no Dask scheduler answers at {scheduler}", do=_START) from error


def _check_workers(client) -> None:
    """Refuse a cluster on which runs would not start, or would disturb each other."""
    try:
        client.wait_for_workers(1, timeout=_WAIT)
    except TimeoutError as error:
        where = client.scheduler.address
        raise WorkerError(f"the scheduler at {where} has no workers", do=_START) from error
    for worker, threads in client.nthreads().items():
        if threads > 1:
            raise WorkerError(
                f"worker {worker} has {threads} threads, and one process can train one model "
                "at a time",
                do=_START,
            )
    for worker, version in client.run(_version, on_error="return").items():
        if version != __version__:
            raise WorkerError(
                f"worker {worker} has mnistkit {version}, and this is {__version__}",
                do="install the same version on all machines",
            )


def _version() -> str:
    return __version__
