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
from pipeline.dvcfile import given_data
from pipeline.flow.serve import check_schedule, run_until_interrupted, watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pipeline.conftest import Toy

ROOT = Path(__file__).parents[3]


@pytest.fixture
def shell(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a person's shell."""
    for name, value in toy.environment.items():
        monkeypatch.setenv(name, value)


def test_schedules_are_checked() -> None:
    check_schedule("0 3 * * *", "Europe/Berlin")
    for wrong in ("Berlin", "CET-1CEST", "../etc/passwd"):
        with pytest.raises(HmerError, match="expected a name such as 'Europe/Berlin'"):
            check_schedule("0 3 * * *", wrong)
    with pytest.raises(HmerError, match="--cron 'at three': expected five fields"):
        check_schedule("at three", "UTC")


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


@pytest.mark.medium
def test_dvc_says_which_data_have_changed(toy: Toy, made: Toy, shell: None) -> None:
    assert given_data(toy.root).keys() == {"raw.txt", "toy.py"}, "what no stage makes"
    assert all(given_data(toy.root).values()), "nothing has run yet"
    assert not any(given_data(made.root).values())
    (made.root / "raw.txt").unlink()
    assert given_data(made.root)["raw.txt"] == "deleted"
    (made.root / "raw.txt").write_text("more ink")
    assert given_data(made.root)["raw.txt"] == "modified"
    (toy.root / "dvc.yaml").write_text("stages: 3")
    with pytest.raises(HmerError, match=r"dvc\.yaml: `stages` must hold a mapping"):
        given_data(toy.root)


def looks(root: Path, acts: list[Callable[[], None] | None]) -> list[int]:
    """Watch while things happen; at which looks a run was asked for."""
    stop, count = threading.Event(), 0
    asked: list[int] = []

    class Between(threading.Event):
        """Acts where the watch would wait."""

        def wait(self, timeout: float | None = None) -> bool:
            nonlocal count
            if count == len(acts):
                stop.set()
                return True
            act, count = acts[count], count + 1
            if act:
                act()
            return True

        def is_set(self) -> bool:
            return stop.is_set()

    watch(root, 0, lambda: asked.append(count), Between())
    return asked


@pytest.mark.medium
def test_a_run_for_each_state_of_the_data_once_it_has_settled(
    made: Toy, shell: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy goes on for two looks; then nothing happens; then the old data come back."""
    raw = made.root / "raw.txt"
    kept = raw.read_text()

    def write(text: str) -> Callable[[], None]:
        return lambda: (raw.write_text(text), None)[1]

    acts = [None, None, write("b"), write("bc"), None, None, None, write("bcd"), None, None]
    assert looks(made.root, acts) == [5, 9]
    assert capsys.readouterr().out.count("new data in raw.txt: retraining") == 2
    assert looks(made.root, [write(kept), None, None]) == [], "as the last run has read them"


@pytest.mark.medium
def test_a_missing_folder_is_told_once_and_survived(
    made: Toy, shell: None, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = made.root / "raw.txt"

    def back() -> None:
        raw.write_text("b")

    assert looks(made.root, [raw.unlink, None, None, None, back, None]) == [6]
    assert capsys.readouterr().out.count("raw.txt is not there: waiting for it") == 1


@pytest.mark.medium
def test_the_watch_tries_again_after_a_failure(
    made: Toy, shell: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """DVC cannot be asked at first, and then the server is away."""
    (made.root / "raw.txt").write_text("new")
    whole = (made.root / "dvc.yaml").read_text()
    (made.root / "dvc.yaml").write_text("stages: 3")
    stop, tries = threading.Event(), []

    def mend(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        (made.root / "dvc.yaml").write_text(whole)

    def trigger() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError("the server is away")
        stop.set()

    monkeypatch.setattr("pipeline.flow.serve._say", mend)
    watch(made.root, 0.01, trigger, stop)
    assert len(tries) == 2, "once more after the failure"
    out = capsys.readouterr().out
    assert "must hold a mapping for each stage; looking again later" in out
    assert out.count("the server is away; looking again later") == 1
