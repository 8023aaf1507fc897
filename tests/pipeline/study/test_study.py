"""A study as a person runs it: real DVC, git and MLflow around stages that take no time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from pipeline.tracking.provenance import cores

if TYPE_CHECKING:
    from tests.pipeline.study.conftest import Toy

REFS = "refs/exps/**"


def kept(toy: Toy) -> list[str]:
    names = toy.git("for-each-ref", "--format=%(refname:lstrip=4)", REFS).split()
    return sorted(names)


def runs(toy: Toy) -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{toy.root / 'mlflow.db'}")
    found = client.get_experiment_by_name("hmer-toy")
    assert found is not None
    return list(client.search_runs([found.experiment_id]))


pytestmark = pytest.mark.skipif("HMER_SLOW" not in os.environ, reason="slow: set HMER_SLOW=1")


def test_shared_work_is_done_once_and_nothing_twice(toy: Toy) -> None:
    # What is not committed yet is a part of it all the same.
    (toy.root / "toy.py").write_text((toy.root / "toy.py").read_text() + "\n# edited\n")
    status = toy.git("status", "--porcelain")
    done = toy.run("--jobs", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert kept(toy) == ["toy-better-0", "toy-plain-0"]
    started = [line.split() for line in toy.starts()]
    assert [name for name, *_ in started].count("ingest") == 1
    assert [name for name, *_ in started].count("train") == 2
    threads = max(1, cores() // 2)
    assert {word for name, word in (line[:2] for line in started) if name == "train"} == {
        str(threads)
    }

    # The project is as it was, but for the report; nothing of the work is left.
    assert toy.git("status", "--porcelain") == f"{status}\n?? reports/"
    assert sorted(p.name for p in (toy.root / ".resume/study/toy").iterdir()) == []
    report = json.loads((toy.root / "reports/toys/toy.json").read_text())
    plain, better = (variant["metrics"]["exprate"] for variant in report["variants"])
    assert plain["values"] == {"0": 50.0} and plain["difference"] is None
    assert better["mean"] == 52.0 and better["difference"] == 2.0 and better["spread"] is None
    conditions = report["conditions"]
    assert conditions["dataset"]["expressions"] == {"train": 3}
    assert conditions["changed_code"] == ["toy.py"] and conditions["machine"]["jobs"] == 2
    assert report["variants"][0]["seconds"].keys() == {"ingest", "train", "evaluate"}

    # The experiments hold their parameters, code and results, the comments too.
    ref = toy.git("for-each-ref", "--format=%(refname)", "refs/exps/**/toy-better-0")
    assert "gain: 2" in toy.git("show", f"{ref}:params.yaml")
    assert "# A comment that stays." in toy.git("show", f"{ref}:params.yaml")
    assert "# edited" in toy.git("show", f"{ref}:toy.py")
    assert toy.git("rev-parse", f"{ref}^") == toy.git("rev-parse", "HEAD")

    # Side by side in MLflow, each with its training below it, in the project's own store.
    found = {run.info.run_name: run for run in runs(toy) if run.data.tags["stage"] == "experiment"}
    assert found.keys() == {"toy-better-0", "toy-plain-0"}
    tags = found["toy-better-0"].data.tags
    assert (tags["study"], tags["variant"], tags["seed"]) == ("toy", "better", "0")
    assert found["toy-better-0"].data.metrics["exprate"] == 52.0
    assert found["toy-better-0"].data.params["train.gain"] == "2"
    trained = [run for run in runs(toy) if run.data.tags["stage"] == "train"]
    assert {run.data.tags["mlflow.parentRunId"] for run in trained} == {
        run.info.run_id for run in found.values()
    }
    assert not list((toy.root / "mlruns").rglob("mlflow.db"))

    # Once more: nothing runs, and the report has the same bytes.
    before = {path: path.read_bytes() for path in (toy.root / "reports/toys").iterdir()}
    again = toy.run()
    assert again.returncode == 0 and toy.starts() == []
    assert {path: path.read_bytes() for path in (toy.root / "reports/toys").iterdir()} == before
    listed = toy.run("--dry-run", "--seeds", "0,1").stdout.splitlines()
    assert listed[0].startswith("toy-plain-0: finished (")
    assert listed[2] == "toy-plain-1: ingest to do, train to do, evaluate to do"
    assert listed[3] == "toy-better-1: ingest shared, train to do, evaluate to do"


def test_interrupted_it_goes_on_and_a_failure_is_told(toy: Toy) -> None:
    study = toy.root / "configs/studies/toy.yaml"
    slow = study.read_text().replace("{train: {gain: 2}}", "{train: {gain: 2, seconds: 12}}")
    study.write_text(slow.replace("as it is}", "as it is, settings: {train: {fail: true}}}"))
    child = subprocess.Popen(toy.command, cwd=toy.root, env=toy.environment)
    legs = toy.root / ".resume/study/toy/better-0/.resume/train"
    deadline = time.monotonic() + 900
    while not list(legs.glob("*/legs.txt")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert list(legs.glob("*/legs.txt"))
    below = psutil.Process(child.pid).children(recursive=True)
    child.send_signal(signal.SIGINT)
    assert child.wait(120) == 130
    _, alive = psutil.wait_procs(below, timeout=60)
    assert alive == []
    assert kept(toy) == []

    toy.starts()
    done = toy.run()
    assert done.returncode == 1
    assert "plain 0: FAILED: train: this variant cannot be trained" in done.stdout
    told = toy.starts()
    assert not any(line.startswith("ingest") for line in told)
    resumed = [line for line in told if line.startswith("resumed at")]
    assert len(resumed) == 1 and int(resumed[0].split()[-1]) >= 1
    assert kept(toy) == ["toy-better-0"]
    report = json.loads((toy.root / "reports/toys/toy.json").read_text())
    assert [one["state"] for one in report["experiments"]] == ["failed", "finished"]
    assert report["experiments"][0]["reason"] == "train: this variant cannot be trained"
    assert "failed" in (toy.root / "reports/toys/toy.md").read_text()
    assert {run.info.status for run in runs(toy)} == {"FINISHED", "FAILED", "KILLED"}
