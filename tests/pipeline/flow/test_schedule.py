"""When runs are due, and how serving ends."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any, cast

import pytest

from hmer.errors import HmerError
from pipeline.flow.serve import known_zone, local_zone, run_until_interrupted


def test_time_zones_have_names() -> None:
    assert known_zone("Europe/Berlin") == "Europe/Berlin"
    for wrong in ("Berlin", "CET-1CEST", "../etc/passwd", ""):
        with pytest.raises(HmerError, match="expected a name such as 'Europe/Berlin'"):
            known_zone(wrong)


def test_three_at_night_is_three_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ", raising=False)
    written, linked = tmp_path / "timezone", tmp_path / "localtime"
    (tmp_path / "zoneinfo/Asia").mkdir(parents=True)
    (tmp_path / "zoneinfo/Asia/Tokyo").touch()
    linked.symlink_to(tmp_path / "zoneinfo/Asia/Tokyo")
    written.write_text("Europe/Berlin\n")
    assert local_zone((written, linked)) == "Asia/Tokyo"
    linked.unlink()
    assert local_zone((written, linked)) == "Europe/Berlin"
    monkeypatch.setenv("TZ", ":America/Lima")
    assert local_zone((written, linked)) == "America/Lima"
    monkeypatch.setenv("TZ", "CET-1CEST")
    with pytest.raises(HmerError, match="say which is meant: --timezone"):
        local_zone((written, linked))


class Looking:
    """A runner with one run under way, whose end it waits for, as Prefect's does."""

    def __init__(self) -> None:
        self.exit_code: int | None = 0

    async def start(self) -> None:
        child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(3600,))
        child.start()
        waiting = asyncio.get_running_loop().run_in_executor(None, child.join)
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.shield(waiting)
            self.exit_code = child.exitcode


def test_a_signal_ends_the_run_before_its_runner() -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        runner = Looking()
        with pytest.raises(KeyboardInterrupt):
            run_until_interrupted(cast("Any", runner))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert runner.exit_code == -signal.SIGTERM
    assert not multiprocessing.active_children()


def test_a_runner_that_ends_by_itself_is_an_error() -> None:
    class Broken:
        async def start(self) -> None:
            raise RuntimeError("no server")

    with pytest.raises(HmerError, match="serving has ended by itself") as caught:
        run_until_interrupted(cast("Any", Broken()))
    assert isinstance(caught.value.__cause__, RuntimeError)
