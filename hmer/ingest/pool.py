"""A function over a stream of items in worker processes: in order, in bounded memory.

The processes are this machine's, or those of a Dask cluster, on which the project is installed.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from importlib import import_module
from ipaddress import ip_address
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from hmer.errors import HmerError

In = TypeVar("In")
Out = TypeVar("Out")

Result = TypeVar("Result", covariant=True)


class _Future(Protocol[Result]):
    def result(self) -> Result: ...


_CHUNK = 32  # items per message: large enough to hide its cost, small enough to spread the work
CHUNK_BYTES = 2**22  # unless the items are large: photographs of some megabytes
PATIENCE = 10  # seconds for a Dask scheduler to answer
_WAITING = 4  # chunks per worker that are under way at a time


def ordered_map(
    function: Callable[[In], Out],
    items: Iterable[In],
    workers: int,
    size: Callable[[In], int] | None = None,
) -> Iterator[Out]:
    """`function(item)` for every item, in their order, by `workers` processes; 1: by this one.

    Args:
        function: picklable, with its results.
        items: read only as fast as the work is done.
        size: bytes of an item; fewer large ones are under way at a time.

    Raises:
        HmerError: a worker was killed. Whatever `items` or `function` raise comes through.
    """
    if workers <= 1:
        yield from map(function, items)
        return
    # Not forked: the caller may have threads (a scheduler, a trainer), whose locks a fork copies.
    executor = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
    try:
        yield from _in_order(executor.submit, function, items, workers, size)
    except BrokenProcessPool as error:
        raise HmerError(
            "a worker process was killed, most likely for lack of memory; use fewer workers"
        ) from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def dask_map(
    function: Callable[[In], Out],
    items: Iterable[In],
    workers: int,
    address: str | None,
    size: Callable[[In], int] | None = None,
) -> Iterator[Out]:
    """The same on a Dask cluster: one on this machine, or that of the scheduler at `address`.

    An address such as tls://host:8786; without TLS a local one only.

    Raises:
        HmerError: Dask is not installed, the scheduler does not answer, or workers died.
    """
    distributed = _distributed()
    with _client(distributed, workers, address) as client:

        def submit(*call: Any) -> Any:
            # Not `pure`: that would hash every item to find out whether it was there before.
            return client.submit(*call, pure=False)

        count = max(1, sum(client.nthreads().values()))
        try:
            yield from _in_order(submit, function, items, count, size)
        except distributed.KilledWorker as error:
            raise HmerError(
                "workers of the Dask cluster were killed, most likely for lack of memory"
            ) from error


def _distributed() -> Any:
    try:
        return import_module("distributed")  # an extra, without types
    except ImportError:
        raise HmerError(
            "ingest.scheduler is dask, which is not installed: pip install 'dask[distributed]'"
        ) from None


def _check_address(address: str) -> None:
    """Refuse a scheduler that others could stand in for: what it sends is unpickled, so run."""
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    try:
        local = parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        local = False
    if parts.scheme not in ("tls", "wss") and not local:
        raise HmerError(
            f"ingest.address: {address} is on another machine and not encrypted, and whoever "
            "answers there can run code here; use tls://, or a scheduler at 127.0.0.1"
        )


@contextmanager
def _client(distributed: Any, workers: int, address: str | None) -> Iterator[Any]:
    if address is not None:
        _check_address(address)
        try:
            client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
        except (OSError, ValueError):
            raise HmerError(
                f"ingest.address: no Dask scheduler at {address}; start one (dask scheduler)"
            ) from None
        with client:
            yield client
        return
    with (
        distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


def _in_order(
    submit: Callable[..., _Future[list[Out]]],
    function: Callable[[In], Out],
    items: Iterable[In],
    workers: int,
    size: Callable[[In], int] | None,
) -> Iterator[Out]:
    source = iter(items)
    waiting: deque[_Future[list[Out]]] = deque()
    while True:
        while len(waiting) < workers * _WAITING and (chunk := _chunk(source, size)):
            waiting.append(submit(_apply, function, chunk))
        if not waiting:
            return
        yield from waiting.popleft().result()


def _chunk(source: Iterator[In], size: Callable[[In], int] | None) -> list[In]:
    """The next items: `_CHUNK` of them, or so many that they reach `CHUNK_BYTES`."""
    chunk: list[In] = []
    taken = 0
    while len(chunk) < _CHUNK and taken < CHUNK_BYTES:
        try:
            item = next(source)
        except StopIteration:
            break
        chunk.append(item)
        taken += size(item) if size else 0
    return chunk


def _apply(function: Callable[[In], Out], chunk: list[In]) -> list[Out]:
    return [function(item) for item in chunk]
