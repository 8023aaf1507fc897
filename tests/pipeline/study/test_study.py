"""A study as a person runs it: DVC and its queue, git and MLflow around stages of no time."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.pipeline.study.conftest import Toy

pytestmark = pytest.mark.slow


def kept(toy: Toy) -> list[str]:
    """Names of the experiments that DVC keeps."""
    names = toy.git("for-each-ref", "--format=%(refname:lstrip=4)", "refs/exps/**").split()
    return sorted(name for name in names if name.startswith("toy-"))


def runs(toy: Toy) -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{toy.root / 'mlflow.db'}")
    found = client.get_experiment_by_name("hmer-toy")
    assert found is not None
    return list(client.search_runs([found.experiment_id]))


def test_every_row_is_an_experiment_and_nothing_is_done_twice(toy: Toy) -> None:
    # What is not committed yet is a part of it all the same.
    (toy.root / "toy.py").write_text((toy.root / "toy.py").read_text() + "\n# edited\n")
    status = toy.git("status", "--porcelain")
    done = toy.study()
    assert done.returncode == 0, done.stdout + done.stderr
    assert kept(toy) == ["toy-better-0", "toy-plain-0"]
    started = [line.split()[0] for line in toy.starts()]
    assert started.count("ingest") == 1 and started.count("train") == 2

    # The project is as it was, but for the report.
    assert toy.git("status", "--porcelain") == f"{status}\n?? reports/"
    report = json.loads((toy.root / "reports/toys/toys.json").read_text())
    plain, better = (variant["metrics"]["exprate"] for variant in report["variants"])
    assert plain["values"] == {"0": 50.0} and plain["difference"] is None
    assert better["mean"] == 52.0 and better["difference"] == 2.0 and better["spread"] is None

    # The experiments hold their parameters, code and results, the comments too.
    ref = toy.git("for-each-ref", "--format=%(refname)", "refs/exps/**/toy-better-0")
    assert "gain: 2" in toy.git("show", f"{ref}:params.yaml")
    assert "# A comment that stays." in toy.git("show", f"{ref}:params.yaml")
    assert "# edited" in toy.git("show", f"{ref}:toy.py")

    # In the project's own store, by row.
    trained = [run for run in runs(toy) if run.data.tags["stage"] == "train"]
    assert {run.data.tags["dvc.experiment"] for run in trained} == set(kept(toy))
    assert not list((toy.root / "mlruns").rglob("mlflow.db"))

    # Once more: nothing runs, and the report has the same bytes.
    before = {path: path.read_bytes() for path in (toy.root / "reports/toys").iterdir()}
    again = toy.study()
    assert again.returncode == 0 and toy.starts() == []
    assert {path: path.read_bytes() for path in (toy.root / "reports/toys").iterdir()} == before
    listed = toy.study("--dry-run", "--seeds", "0", "--seeds", "1").stdout.splitlines()
    assert [line.partition(": ")[2].split(",")[0] for line in listed] == [
        "finished", "finished", "to do", "to do"
    ]  # fmt: skip


def test_interrupted_it_goes_on_and_a_failure_is_reported(toy: Toy) -> None:
    study = toy.root / "configs/studies/toy.yaml"
    slow = study.read_text().replace("{train: {gain: 2}}", "{train: {gain: 2, seconds: 12}}")
    study.write_text(slow.replace("as it is}", "as it is, settings: {train: {fail: true}}}"))
    params = (toy.root / "params.yaml").read_text()
    child = subprocess.Popen(toy.command, cwd=toy.root, env=toy.environment)
    deadline = time.monotonic() + 900
    while time.monotonic() < deadline:
        if toy.counted.exists() and toy.counted.read_text().count("train") == 2:
            break
        time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    assert child.wait(120) == 130
    assert kept(toy) == [] and (toy.root / "params.yaml").read_text() == params

    toy.starts()
    done = toy.study()
    assert done.returncode == 1
    assert "toy-plain-0 failed: train: this variant cannot be trained" in done.stdout
    assert not any(line.startswith("ingest") for line in toy.starts()), "from the run cache"
    assert kept(toy) == ["toy-better-0"]
    report = json.loads((toy.root / "reports/toys/toys.json").read_text())
    assert [one["state"] for one in report["experiments"]] == ["failed", "finished"]
    assert "failed" in (toy.root / "reports/toys/toys.md").read_text()
