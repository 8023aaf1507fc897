"""What is posted on a pull request: changed scores and parameters against a revision."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.pipeline.conftest import Toy, commit_all

ROOT = Path(__file__).parents[2]
DVC_YAML = """
stages:
  evaluate:
    cmd: "true"
    params: [evaluate]
    metrics:
      - scores:
          cache: false
"""

pytestmark = pytest.mark.medium


def test_the_comparison_has_what_changed_and_nothing_else(toy: Toy) -> None:
    def scored(exprate: float, beam: int) -> None:
        (toy.root / "scores/val.json").write_text(f'{{"n": 300, "exprate": {exprate}}}')
        (toy.root / "params.yaml").write_text(f"evaluate: {{beam: {beam}}}\n")

    (toy.root / ".dvc/config").write_text((ROOT / ".dvc/config").read_text())
    (toy.root / "dvc.yaml").write_text(DVC_YAML)
    (toy.root / "scores").mkdir()
    (toy.root / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/compare", toy.root / ".ci/compare")
    scored(57.1, 5)
    commit_all(toy.root)
    scored(58.3, 10)

    done = subprocess.run(
        [toy.root / ".ci/compare", "HEAD"],
        cwd=toy.root / "scores", env=toy.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in done.stdout.splitlines()
        if line.startswith("| ") and "Path" not in line
    ]
    assert rows == [
        ["scores/val.json", "exprate", "57.1", "58.3", "1.2"],
        ["params.yaml", "evaluate.beam", "5", "10"],
    ] or [row[:4] for row in rows] == [
        ["scores/val.json", "exprate", "57.1", "58.3"],
        ["params.yaml", "evaluate.beam", "5", "10"],
    ]
    chart = done.stdout.partition("```mermaid\n")[2].partition("```")[0].split("\n")
    drawn = dict(line.split(maxsplit=1) for line in chart if " " in line.strip())
    assert (drawn["x-axis"], drawn["bar"], drawn["line"]) == ('["val"]', "[58.3]", "[57.1]")


def test_the_workflow_runs_scripts_that_are_there() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/pull-request.yml").read_text())
    commands = [step.get("run", "") for step in workflow["jobs"]["default"]["steps"]]
    scripts = [one.split()[0] for one in commands if one.startswith(".ci/")]
    assert workflow["defaults"]["run"]["shell"] == "bash", "or a script that fails in a pipe passes"
    assert "${{" not in "".join(commands), "what a pull request names must not become a command"
    assert scripts == [".ci/run", ".ci/compare"]
    assert all((ROOT / script).stat().st_mode & 0o100 for script in scripts)
