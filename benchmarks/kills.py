"""`python -m benchmarks.kills`: SIGKILL at random moments, and whether the next run sets it right.

A small copy of the project is run once undisturbed. Then it is run again and again from nothing,
and the flow, DVC or the stage is killed at a random moment, until there have been enough kills;
each kill is followed by a run that goes on from there (and may be killed as well). Whenever a run
gets through, its weights must be those of the undisturbed one, to the byte, MLflow must have no
open run, and the registry one version and one champion. After every kill there must soon be no
process of the project left.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import psutil

from benchmarks.project import copy_project, environment, wipe

ORPHANS_END_WITHIN = 60.0
"""Seconds: a guard gives what it ends 20 of them to clean up."""
TARGETS = {"flow": ("-m", "pipeline", "run"), "dvc": ("-m", "dvc"), "stage": ("pipeline.stages.",)}


@dataclass
class Kill:
    """One of them: whom it hit, after how many seconds, where, and what was left behind.

    `checkpoints` counts the states that a training can go on from, `orphans` the processes that
    were still there a minute later.
    """

    target: str
    after: float
    stage: str
    checkpoints: int
    orphans: int


@dataclass
class Outcome:
    """What the benchmark found."""

    kills: list[Kill] = field(default_factory=list)
    completions: int = 0
    undisturbed_seconds: float = 0.0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)


def start(root: Path, prefect: bool, log: Path) -> subprocess.Popen[bytes]:
    """A run of the pipeline."""
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline", "run", "--prefect" if prefect else "--no-prefect"],
            cwd=root, env=environment(), stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            start_new_session=True,
        )  # fmt: skip


def family(root: Path) -> list[psutil.Process]:
    """Processes that work in the project, whoever their parents are."""
    found = []
    for process in psutil.process_iter():
        try:
            here = Path(process.cwd()).is_relative_to(root)
            if here and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def of_kind(processes: list[psutil.Process], kind: str) -> list[psutil.Process]:
    """Those among them that are the flow, DVC or a stage."""
    found = []
    for process in processes:
        try:
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if " ".join(TARGETS[kind]) in line:
            found.append(process)
    return found


def kill_one(root: Path, rng: random.Random) -> tuple[str, str] | None:
    """SIGKILL to one of the flow, DVC and the stage; which, and the stage that was at work.

    None where there was nobody to kill.
    """
    processes = family(root)
    stages = of_kind(processes, "stage")
    at_work = stages[0].cmdline()[-1].rpartition(".")[2] if stages else "-"
    kinds = [kind for kind in sorted(TARGETS) if of_kind(processes, kind)]
    if not kinds:
        return None
    kind = rng.choice(kinds)
    for process in of_kind(processes, kind):
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.Error:
            continue
    return kind, at_work


def digest(root: Path) -> dict[str, str]:
    """What must come out alike: weights, and what DVC has locked."""
    files = [*sorted((root / "data/models").rglob("*.safetensors")), root / "dvc.lock"]
    return {
        str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files
    }


def troubles(root: Path, wanted: dict[str, str]) -> list[str]:
    """Everything that is not as it should be after a run that got through."""
    found = []
    mine = digest(root)
    found += [
        f"{name} differs" for name in sorted(wanted | mine) if wanted.get(name) != mine.get(name)
    ]
    with sqlite3.connect(root / "mlflow.db") as store:
        open_runs = store.execute("select name from runs where status = 'RUNNING'").fetchall()
        versions = store.execute("select count(*) from model_versions").fetchone()[0]
        champions = store.execute(
            "select count(*) from registered_model_aliases where alias = 'champion'"
        ).fetchone()[0]
    found += [f"run {name} is open" for (name,) in open_runs]
    if (versions, champions) != (1, 1):
        found.append(f"{versions} versions and {champions} champions in the registry")
    halves = [p for p in root.rglob(".*") if p.name.endswith((".partial", ".old"))]
    halves += list((root / ".resume").rglob("*.ckpt"))
    return found + [f"{path.relative_to(root)} is left" for path in halves]


def wait_until_alone(root: Path, seconds: float) -> int:
    """How many processes are left in the project after so many seconds at most."""
    deadline = time.monotonic() + seconds
    while (left := family(root)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return len(left)


def measure(
    root: Path,
    kills: int,
    seed: int,
    prefect: bool,
    log: Path,
    tell: Callable[[Outcome], None] = lambda outcome: None,
) -> Outcome:
    """Carry it out in an empty folder.

    Args:
        root: gets the copy of the project.
        kills: how many.
        seed: of moments and targets.
        prefect: as a flow, or as plain `dvc repro`.
        log: gets what the runs print.
        tell: told what has been found so far, after every run.

    Raises:
        RuntimeError: the undisturbed run fails.
    """
    rng = random.Random(seed)
    copy_project(root)
    outcome = Outcome()
    began = time.monotonic()
    if start(root, prefect, log).wait():
        raise RuntimeError(f"the undisturbed run failed; see {log}")
    outcome.undisturbed_seconds = round(time.monotonic() - began, 1)
    wait_until_alone(root, ORPHANS_END_WITHIN)
    wanted = digest(root)
    wipe(root)
    while (len(outcome.kills) < kills or outcome.completions == 0) and not outcome.wrong:
        run = start(root, prefect, log)
        killed = disturb(root, run, outcome, rng) if len(outcome.kills) < kills else None
        code = run.wait()
        left = wait_until_alone(root, ORPHANS_END_WITHIN)
        if killed is not None:
            outcome.kills.append(replace(killed, orphans=left))
            if left:
                outcome.wrong.append(f"{left} processes left after {killed}")
        else:
            outcome.completions += 1
            if code:
                outcome.wrong.append(f"a run that nobody disturbed ended with {code}")
            outcome.wrong += troubles(root, wanted)
            if len(outcome.kills) < kills and not outcome.wrong:
                wipe(root)
        outcome.seconds = round(time.monotonic() - began, 1)
        tell(outcome)
    return outcome


def disturb(
    root: Path, run: subprocess.Popen[bytes], outcome: Outcome, rng: random.Random
) -> Kill | None:
    """Kill somebody at a random moment of a run; None where it was faster.

    Half an undisturbed run at most: the next one is to get somewhere as well.
    """
    moment = rng.uniform(0, outcome.undisturbed_seconds / 2)
    try:
        run.wait(moment)
        return None
    except subprocess.TimeoutExpired:
        pass
    if (hit := kill_one(root, rng)) is None:
        return None
    kept = len(list((root / ".resume").rglob("*.ckpt")))
    return Kill(hit[0], round(moment, 1), hit[1], kept, 0)


def publish(outcome: Outcome, file: Path | None) -> None:
    """Tell how far it is, and keep what has been found."""
    last = outcome.kills[-1] if outcome.kills else None
    sys.stderr.write(f"{len(outcome.kills)} kills, {outcome.completions} completions; {last}\n")
    if file is not None:
        file.write_text(json.dumps(asdict(outcome), indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Parse arguments, measure, print JSON; exit code 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.kills")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-prefect", action="store_true", help="kill plain `dvc repro`")
    parser.add_argument("--out", type=Path, help="file for the JSON, written after every run")
    parser.add_argument("--keep", type=Path, help="empty folder to work in, kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = options.keep or Path(folder) / "project"
        root.mkdir(parents=True, exist_ok=True)
        log = root.parent / f"{root.name}.log"
        outcome = measure(
            root.resolve(), options.kills, options.seed, not options.no_prefect, log,
            lambda found: publish(found, options.out),
        )  # fmt: skip
    sys.stdout.write(json.dumps(asdict(outcome), indent=2) + "\n")
    sys.exit(1 if outcome.wrong else 0)


if __name__ == "__main__":
    main()
