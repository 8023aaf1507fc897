"""Retraining that starts by itself: on drift, and on new data, in a flow that is really served.

A Prefect server, the process that serves, and one process for each run: a minute, so only where it
is asked for: `HMER_SLOW=1`.
"""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from pipeline.monitor import DRIFTED, REPORT
from tests.pipeline.conftest import Toy, tiny_model

pytestmark = pytest.mark.slow

PATIENCE = 900.0
LOG = "serve.log"


@pytest.fixture
def project(toy: Toy, small_dataset: Path) -> Toy:
    """A toy project that has run, with a real champion and a data set to compare with."""
    tiny_model(toy.root / "data/models/champion", 1)
    shutil.copytree(small_dataset, toy.root / "data/dataset")
    toy.unchecked()
    params(toy)
    done = toy.run("-m", "dvc", "repro")
    assert done.returncode == 0, done.stderr
    (toy.root / LOG).touch()  # it is looked at while serving starts
    return toy


def params(toy: Toy, **sections: dict[str, object]) -> None:
    toy.params(monitor={"least": 5, "reference": 30}, **sections)


def until(met: Callable[[], bool], told: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not met():
        assert time.monotonic() < deadline, told()
        time.sleep(0.2)


@pytest.fixture
def served(project: Toy) -> Iterator[Path]:
    """The log of `serve --on-new-data` at work."""
    log = project.root / LOG
    child = project.start("-c", SERVE, str(log))
    try:
        until(
            lambda: child.poll() is not None or deployed(project.root),
            lambda: log.read_text(),
        )
        assert child.poll() is None, log.read_text()
        yield log
        family = psutil.Process(child.pid).children(recursive=True)
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=PATIENCE)
        _, alive = psutil.wait_procs(family, timeout=60)
        assert not alive, "serving has left processes"
        assert not (project.root / ".prefect/serving").exists()
    finally:
        child.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_serving_that_is_ended_while_a_stage_runs(project: Toy, number: signal.Signals) -> None:
    """The stage, its flow, the server; after a SIGKILL the next start closes what is left."""
    root = project.root
    params(project, second={"seconds": 100000.0, "text": "!"})
    started = root / "pid-second"
    started.unlink()
    child = project.start("-c", SERVE, str(root / LOG))
    try:
        until(lambda: ended(child) or ready(root) == 1, lambda: (root / LOG).read_text())
        assert project.run("-m", "pipeline", "trigger").returncode == 0
        until(
            lambda: ended(child) or bool(started.exists() and started.read_text()),
            lambda: (root / LOG).read_text(),
        )
        family = psutil.Process(child.pid).children(recursive=True)
        assert any(process.pid == int(started.read_text()) for process in family)
        child.send_signal(number)
        child.communicate()
        assert child.returncode == (-number if number == signal.SIGKILL else 128 + number)
        psutil.wait_procs(family)
        (starts,) = (root / ".resume/second").rglob("starts.txt")
        assert starts.read_text() == "1", "there is nothing to go on from"
        if number == signal.SIGKILL:
            child = project.start("-c", SERVE, str(root / LOG))
            until(lambda: ended(child) or ready(root) == 2, lambda: (root / LOG).read_text())
            child.send_signal(signal.SIGTERM)
            child.communicate()
        assert states(root) == {"Crashed"}
        assert not (root / ".prefect/serving").exists()
    finally:
        child.kill()


def ended(child: subprocess.Popen[bytes]) -> bool:
    return child.poll() is not None


def ready(root: Path) -> int:
    """How often serving has begun."""
    return (root / LOG).read_text().count("a run at once: python -m pipeline trigger")


def states(root: Path) -> set[str]:
    """Of the flow runs, from the data base: the server is gone."""
    with closing(sqlite3.connect(root / ".prefect/prefect.db")) as store:
        return {str(row[0]) for row in store.execute("select state_name from flow_run")}


SERVE = """
import os, runpy, sys
log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.dup2(log, 1), os.dup2(log, 2)
sys.argv = ["pipeline", "serve", "--on-new-data", "--every", "1"]
runpy.run_module("pipeline", run_name="__main__")
"""


def asked(root: Path, path: str) -> list[dict[str, Any]]:
    """What the server says that the project has announced."""
    url = (root / ".prefect/serving").read_text()
    request = urllib.request.Request(
        f"{url}/{path}", b"{}", {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        found: list[dict[str, Any]] = json.load(reply)
        return found


def deployed(root: Path) -> bool:
    try:
        return bool(asked(root, "deployments/filter"))
    except OSError:
        return False


def completed(root: Path) -> int:
    states = [run["state_name"] for run in asked(root, "flow_runs/filter")]
    assert not {"Failed", "Crashed"} & set(states), (root / LOG).read_text()
    return states.count("Completed")


def strange(folder: Path) -> Path:
    """Pictures like none of the data set: long thin bars."""
    folder.mkdir()
    for number in range(8):
        page = np.full((30, 500 + 20 * number), 255, np.uint8)
        page[12:18, 10:-10] = 0
        Image.fromarray(page).save(folder / f"{number}.png")
    return folder


def test_drift_and_new_data_retrain(project: Toy, served: Path) -> None:
    root, value = project.root, project.root / "out/third/value.txt"
    assert value.read_text() == "ink"

    params(project, second={"text": ", retrained after drift"})
    done = project.run("-m", "pipeline", "monitor", str(strange(root / "recent")), timeout=PATIENCE)
    assert done.returncode == DRIFTED, done.stdout + done.stderr
    assert "drift in " in done.stdout and "retraining has been asked for" in done.stdout
    assert "nothing to do" not in done.stdout
    assert json.loads((root / REPORT / "verdict.json").read_text())["drifted"]
    until(lambda: completed(root) == 1, lambda: served.read_text())
    assert value.read_text() == "ink, retrained after drift"

    (root / "raw.txt").write_text("new ink")
    until(lambda: completed(root) == 2, lambda: served.read_text())
    assert value.read_text() == "new ink, retrained after drift"
    assert "new data in raw.txt: retraining" in served.read_text()
    states = {run["state_name"] for run in asked(root, "task_runs/filter")}
    assert states == {"Cached", "Ran"}
