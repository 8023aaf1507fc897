"""A function over a stream of items in worker processes: in order, in bounded memory."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from hmer.errors import HmerError

In = TypeVar("In")
Out = TypeVar("Out")

_CHUNK = 32  # items per message: large enough to hide its cost, small enough to spread the work
_CHUNK_BYTES = 2**22  # unless the items are large: photographs of some megabytes
_WAITING = 4  # chunks per worker that are under way at a time


def ordered_map(
    function: Callable[[In], Out],
    items: Iterable[In],
    workers: int,
    size: Callable[[In], int] | None = None,
) -> Iterator[Out]:
    """`function(item)` for every item, in their order.

    Args:
        function: picklable, with its results, if there is more than one worker.
        items: read only as fast as the work is done.
        workers: processes; 1 does everything in this one.
        size: bytes of an item; fewer large ones are under way at a time.

    Raises:
        HmerError: a worker was killed. Whatever `items` or `function` raise comes through.
    """
    if workers <= 1:
        yield from map(function, items)
        return
    source = iter(items)
    # Not forked: the caller may have threads (a scheduler, a trainer), whose locks a fork copies.
    executor = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
    try:
        waiting: deque[Future[list[Out]]] = deque()
        while True:
            while len(waiting) < workers * _WAITING and (chunk := _chunk(source, size)):
                waiting.append(executor.submit(_apply, function, chunk))
            if not waiting:
                return
            yield from waiting.popleft().result()
    except BrokenProcessPool as error:
        raise HmerError(
            "a worker process was killed, most likely for lack of memory; use fewer workers"
        ) from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _chunk(source: Iterator[In], size: Callable[[In], int] | None) -> list[In]:
    """The next items: `_CHUNK` of them, or so many that they reach `_CHUNK_BYTES`."""
    chunk: list[In] = []
    taken = 0
    while len(chunk) < _CHUNK and taken < _CHUNK_BYTES:
        try:
            item = next(source)
        except StopIteration:
            break
        chunk.append(item)
        taken += size(item) if size else 0
    return chunk


def _apply(function: Callable[[In], Out], chunk: list[In]) -> list[Out]:
    return [function(item) for item in chunk]
