"""When runs are due, and how serving ends."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from hmer.errors import HmerError
from pipeline.dvcfile import locked, raw_hashes
from pipeline.flow.serve import Watch, known_zone, run_until_interrupted, watch

if TYPE_CHECKING:
    from tests.pipeline.conftest import Toy

ROOT = Path(__file__).parents[3]


def test_time_zones_have_names() -> None:
    assert known_zone("Europe/Berlin") == "Europe/Berlin"
    for wrong in ("Berlin", "CET-1CEST", "../etc/passwd", ""):
        with pytest.raises(HmerError, match="expected a name such as 'Europe/Berlin'"):
            known_zone(wrong)


@pytest.mark.medium
@pytest.mark.parametrize(
    ("zone", "told"),
    [(":America/Lima", "America/Lima"), ("CET-1CEST", "say which is meant: --timezone")],
)
def test_three_at_night_is_three_here(zone: str, told: str) -> None:
    code = "from pipeline.flow.serve import local_zone; print(local_zone())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "TZ": zone},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told in done.stdout + done.stderr


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


def test_a_run_for_each_state_of_the_data_once_it_has_settled() -> None:
    said: list[str] = []
    seen = Watch({"raw": "a"}, said.append)
    looks = ["a", "a", "b", "c", "c", "c", "c", "a", "a"]
    assert [seen.see({"raw": look}) for look in looks] == [
        False, False, False, False, True, False, False, False, True,
    ]  # fmt: skip
    assert not said


def test_a_missing_folder_is_told_once_and_survived() -> None:
    said: list[str] = []
    seen = Watch({"raw": "a"}, said.append)
    for look in (None, None, None, "b"):
        assert not seen.see({"raw": look})
    assert said == ["raw is not there: waiting for it"]
    assert seen.see({"raw": "b"})
    assert not seen.see({"raw": None})
    assert len(said) == 2, "it is gone again"


@pytest.mark.medium
def test_dvc_is_asked(toy: Toy, made: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in toy.environment.items():
        monkeypatch.setenv(name, value)
    at_first = raw_hashes(toy.root)
    assert set(at_first) == {"raw.txt", "toy.py"}, "what no stage makes"
    assert locked(toy.root) == ({}, {})
    assert locked(made.root)[0].items() > at_first.items()
    (toy.root / "raw.txt").unlink()
    assert raw_hashes(toy.root)["raw.txt"] is None
    (toy.root / "raw.txt").write_text("more ink")
    assert raw_hashes(toy.root)["raw.txt"] not in {None, at_first["raw.txt"]}
    (toy.root / "dvc.yaml").write_text("stages: 3")
    with pytest.raises(HmerError, match="dvc cannot read the pipeline"):
        raw_hashes(toy.root)


def test_the_watch_triggers_again_where_the_trigger_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pipeline.flow.serve.raw_hashes", lambda root: {"raw": "new"})
    stop, tries = threading.Event(), []

    def trigger() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError("the server is away")
        threading.Timer(0.2, stop.set).start()

    watch(tmp_path, 0.01, trigger, stop)
    assert len(tries) == 2, "once more after the failure, and never again"
    out = capsys.readouterr().out
    assert "new data in raw: retraining" in out
    assert out.count("the server is away; looking again later") == 1


@pytest.mark.medium
def test_a_first_look_that_fails_is_no_news(
    made: Toy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """DVC cannot read the project at first; nothing has changed since the last run."""
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    whole = (made.root / "dvc.yaml").read_text()
    (made.root / "dvc.yaml").write_text("stages: 3")
    stop, looks, triggered = threading.Event(), [], []

    def counted(root: Path) -> dict[str, str | None]:
        looks.append(1)
        if len(looks) == 2:
            (made.root / "dvc.yaml").write_text(whole)
        if len(looks) == 4:
            stop.set()
        return raw_hashes(root)

    monkeypatch.setattr("pipeline.flow.serve.raw_hashes", counted)
    watch(made.root, 0.01, lambda: triggered.append(1), stop)
    assert len(looks) == 4 and not triggered
    assert "dvc cannot read the pipeline" in capsys.readouterr().out
