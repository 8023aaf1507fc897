"""The one home of environment variables: privacy, locations and time limits of the tools.

Every entry point calls `apply_environment` before it imports DVC, Prefect, MLflow or Great
Expectations. Only defaults are set: what the user exported wins. (`MLFLOW_TRACKING_URI`, for one,
sends all tracking to another server.)
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

PRIVACY = {
    # Prefect accepts many spellings of "yes", MLflow only this one.
    "DO_NOT_TRACK": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
}

BEHAVIOUR = {
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
    # A cold start with a new data base takes 12 s on two busy cores, where eight processes want
    # them minutes; Prefect gives up after 20 s.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "600",
    # Nothing listens beyond this machine unless a person says so.
    "PREFECT_SERVER_API_HOST": "127.0.0.1",
    # A lease on the one place for trainings must survive the server that gave it.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
        "prefect.server.concurrency.lease_storage.filesystem"
    ),
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    # Models are safetensors and code; a pickle in the registry is refused.
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    # Without its job runner the user interface takes 2 processes instead of 10.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # An unreachable tracking server must be an error in seconds, not in minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # That git is not there is no news.
    "GIT_PYTHON_REFRESH": "quiet",
    "PYTHONUNBUFFERED": "1",
    # OpenMP threads wait for each other by spinning, 300000 turns by default. On a machine that
    # does anything else besides, that costs a factor of ten and more; this little costs nothing.
    "GOMP_SPINCOUNT": "1000",
    # oneDNN keeps compiled kernels by shape, 1024 by default: a training with thirty padded shapes
    # has more, and would compile them again and again (1.5 to 2 times the time of a step).
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "16384",
}


def project_root() -> Path:
    """The project: the nearest folder above the working directory that has a `dvc.yaml`.

    Not the folder of this file: `dvc exp run --temp` runs a copy of the project.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").is_file():
            return folder
    return here


def apply_environment(root: Path) -> None:
    """Set the defaults in `os.environ`, so that child processes have them too."""
    for name, value in defaults(root).items():
        os.environ.setdefault(name, value)
    # `cmd: python ...` in dvc.yaml must find the interpreter that runs this, also when the
    # virtual environment is not activated.
    bin_folder = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    if path[0] != bin_folder:
        os.environ["PATH"] = os.pathsep.join([bin_folder, *path])


def defaults(root: Path) -> dict[str, str]:
    """All defaults for the project in `root`."""
    return {
        **PRIVACY,
        **BEHAVIOUR,
        "PREFECT_HOME": str(root / ".prefect"),
        # Relative stores follow the working directory, so this one is absolute.
        "MLFLOW_TRACKING_URI": f"sqlite:///{root / 'mlflow.db'}",
        "DVC_SITE_CACHE_DIR": str(root / ".dvc-site-cache"),
    }
