"""A copy of the project that runs from end to end in about a minute."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

TINY = (
    "base.render.unit=10",
    "ingest.workers=1",
    "ingest.synthetic.train=40",
    "ingest.synthetic.val=12",
    "ingest.synthetic.test=12",
    "validate.workers=1",
    "validate.min_train_rows=10",
    "validate.min_rows=5",
    "validate.max_symbol_drift=1",
    "pretrain.encoder.width=8",
    "pretrain.encoder.blocks=[1, 1, 1]",
    "pretrain.collapse=0",
    *(
        f"{stage}.{setting}"
        for stage in ("pretrain", "attend", "finetune")
        for setting in (
            "optimisation.steps=60",
            "optimisation.leg=10",
            "optimisation.workers=0",
            "batch.max_count=4",
        )
    ),
    "finetune.validate_on=4",
    "model.decoder.layers=1",
    "model.decoder.width=16",
    "model.decoder.heads=2",
    "model.decoder.feedforward=32",
    "evaluate.decoding.beam=1",
    "evaluate.decoding.max_length=10",
    "evaluate.occlusion.limit=2",
)
"""Settings for which a stage is little more than its imports."""

WIPED = ("data/dataset", "data/models", "dvc.lock", ".resume", ".dvc/tmp", ".dvc/cache")
WIPED_TOO = (
    "reports/validation",
    "reports/evaluation",
    "reports/evaluation.json",
    "reports/scores",
)
WIPED_AS_WELL = ("reports/registration.json", "mlflow.db", "mlruns", ".prefect")


def environment() -> dict[str, str]:
    """As in a fresh shell, with one thread per process."""
    mine = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("MLFLOW", "PREFECT", "DVC", "HMER", "PYTHON"))
    }
    return {**mine, "OMP_NUM_THREADS": "1", "HMER_PROGRESS": "0"}


def copy_project(to: Path) -> Path:
    """What git knows of the working tree, as it is now, in a repository of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, to / name)
    (to / "data/raw").mkdir(parents=True, exist_ok=True)
    who = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost")
    for command in (("init", "-q"), ("add", "-A"), (*who, "commit", "-qm", "copy")):
        subprocess.run(["git", *command], cwd=to, check=True)
    subprocess.run(
        [sys.executable, "-m", "pipeline", "configure"]
        + [part for setting in TINY for part in ("--set", setting)],
        cwd=to, check=True, env=environment(),
    )  # fmt: skip
    wipe(to)
    return to


def wipe(root: Path) -> None:
    """Back to a project in which nothing has run."""
    for name in (*WIPED, *WIPED_TOO, *WIPED_AS_WELL):
        path = root / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
