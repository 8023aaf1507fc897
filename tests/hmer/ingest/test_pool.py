import operator
import os
import sys
from collections.abc import Iterator
from functools import partial

import pytest

from hmer.errors import HmerError
from hmer.ingest.pool import _check_address, dask_map, ordered_map

# Functions of the standard library: worker processes cannot import this file.
DOUBLE = partial(operator.mul, 2)
INTO_100 = partial(operator.floordiv, 100)


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_and_items_are_not_read_ahead(workers: int) -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(3000):
            taken.append(number)
            yield number

    results = ordered_map(DOUBLE, items(), workers)
    assert next(results) == 0
    assert len(taken) <= 2 * 4 * 32
    assert list(results) == [2 * number for number in range(1, 3000)]


def test_few_large_items_are_under_way() -> None:
    taken = []

    def items() -> Iterator[bytes]:
        for number in range(60):
            taken.append(number)
            yield bytes(2**21)

    results = ordered_map(len, items(), 2, size=len)
    assert next(results) == 2**21
    assert len(taken) <= 2 * 4 * 2 + 2  # chunks of two, not of 32
    assert list(results) == [2**21] * 59


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_come_through(workers: int) -> None:
    with pytest.raises(ZeroDivisionError):
        list(ordered_map(INTO_100, range(70, -1, -1), workers))

    def broken() -> Iterator[int]:
        yield 1
        raise HmerError("source")

    with pytest.raises(HmerError, match="source"):
        list(ordered_map(INTO_100, broken(), workers))


def test_killed_worker_is_told() -> None:
    with pytest.raises(HmerError, match="fewer workers"):
        list(ordered_map(os._exit, range(3), 2))


@pytest.mark.medium
def test_a_dask_cluster_gives_the_same_in_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, protocol="tcp://", host="127.0.0.1",
        dashboard_address=None,
    ) as cluster:  # fmt: skip
        address = cluster.scheduler_address
        assert list(dask_map(DOUBLE, range(300), 1, address)) == [2 * n for n in range(300)]
        with pytest.raises(ZeroDivisionError):
            list(dask_map(INTO_100, range(70, -1, -1), 1, address))
    monkeypatch.setattr("hmer.ingest.pool.PATIENCE", 1)
    with pytest.raises(HmerError, match=r"ingest\.address: no Dask scheduler at tcp://127.0.0.1:1"):
        list(dask_map(DOUBLE, [1], 1, "tcp://127.0.0.1:1"))


def test_dask_is_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(HmerError, match="dask, which is not installed"):
        list(dask_map(DOUBLE, [1], 1, None))


@pytest.mark.parametrize(
    "address", ["tcp://10.0.0.7:8786", "tcp://scheduler:8786", "10.0.0.7:8786", "ws://10.0.0.7:1"]
)
def test_a_scheduler_elsewhere_is_refused_without_encryption(address: str) -> None:
    """What it sends is unpickled."""
    with pytest.raises(HmerError, match=r"ingest\.address: .* is on another machine"):
        _check_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "tls://10.0.0.7:8786",
        "wss://scheduler:8786",
        "tcp://127.0.0.1:1",
        "tcp://[::1]:1",
        "localhost:1",
    ],
)
def test_one_that_is_here_or_encrypted_is_not(address: str) -> None:
    _check_address(address)
