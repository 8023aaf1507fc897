"""The one home of environment variables: privacy, locations and time limits of the tools.

Every entry point calls `apply_environment` before it imports DVC, Prefect, MLflow or Great
Expectations. Only defaults are set: what the user exported wins. (`MLFLOW_TRACKING_URI`, for one,
sends all tracking to another server.)
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from hmer.errors import HmerError

RESUME = ".resume"
"""Folder for what makes an interrupted run go on: checkpoints, locks, open runs."""
FLOW_LOCK = f"{RESUME}/flow.lock"
"""Held by whoever runs the whole pipeline."""

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
    # With AMX, oneDNN's bf16 products let NaN of one row into others where the inner size is no
    # multiple of 32 (uxlfoundation/oneDNN#5717): what lies behind a tensor in memory then decides
    # whether a training ends in NaN.
    "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16",
    # oneDNN keeps compiled kernels by shape, 1024 by default: a training with thirty padded shapes
    # has more, and would compile them again and again (1.5 to 2 times the time of a step).
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "16384",
}

SITE_CACHE = "DVC_SITE_CACHE_DIR"
COPIES = (".dvc", "tmp", "exps")
"""Where `dvc exp run --temp` and `dvc queue` put the copies of a project that they run."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def project_root() -> Path:
    """The project: the nearest folder above the working directory that has a `dvc.yaml`.

    Not the folder of this file: `dvc exp run --temp` runs a copy of the project.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").is_file():
            return folder
    return here


def lasting_root(root: Path) -> Path:
    """The project itself, where `root` is a throw-away copy of it; else `root`.

    What outlives an experiment belongs there: runs, models, the champion.
    """
    parts = root.parts
    for start in range(len(parts) - len(COPIES)):
        if parts[start : start + len(COPIES)] == COPIES:
            return Path(*parts[:start])
    return root


def apply_environment(root: Path) -> None:
    """Set the defaults in `os.environ`, so that child processes have them too.

    Raises:
        HmerError: DVC's site cache would be in a folder that others can write to.
    """
    made = completed(os.environ, root)
    for name in os.environ.keys() - made.keys():
        del os.environ[name]
    os.environ.update(made)


def completed(given: Mapping[str, str], root: Path) -> dict[str, str]:
    """An environment with the defaults for the project in `root`.

    Raises:
        HmerError: as `apply_environment`.
    """
    made = {**defaults(root), **given}
    if SITE_CACHE not in made:
        made[SITE_CACHE] = str(private(user_folder() / "dvc"))
    # No proxy between us and our own servers.
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [host.strip() for host in made.get(name, "").split(",") if host.strip()]
        made[name] = ",".join([*hosts, *(host for host in LOOPBACK if host not in hosts)])
    if find_spec("socksio") is None:
        # Prefect's client builds all its proxies at once, and would fail at this one.
        proxies = {"ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"}
        socks = {n for n, url in made.items() if n.upper() in proxies and url.startswith("socks")}
        made = {name: value for name, value in made.items() if name not in socks}
    # `cmd: python ...` in dvc.yaml must find the interpreter that runs this, also when the
    # virtual environment is not activated.
    bin_folder = str(Path(sys.executable).parent)
    path = made.get("PATH", os.defpath).split(os.pathsep)
    if path[0] != bin_folder:
        made["PATH"] = os.pathsep.join([bin_folder, *path])
    return made


def defaults(root: Path) -> dict[str, str]:
    """All defaults for the project in `root`."""
    return {
        **PRIVACY,
        **BEHAVIOUR,
        "PREFECT_HOME": str(root / ".prefect"),
        # Relative stores follow the working directory, so this one is absolute.
        "MLFLOW_TRACKING_URI": f"sqlite:///{lasting_root(root) / 'mlflow.db'}",
    }


def user_folder() -> Path:
    """A folder of this user's alone, for what no project owns: locks, DVC's site cache.

    Raises:
        HmerError: it cannot be made, or others can write to it.
    """
    given = os.environ.get("XDG_CACHE_HOME", "")
    if Path(given).is_absolute():
        return private(Path(given) / "hmer")
    try:
        return private(Path.home() / ".cache" / "hmer")
    except (RuntimeError, OSError):  # a container's user without a home
        return private(Path(tempfile.gettempdir()) / f"hmer-{os.getuid()}")


def private(folder: Path) -> Path:
    """A folder that only its owner, who we are, can read and write; made where it is missing.

    Raises:
        HmerError: it is somebody else's, or no folder.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise HmerError(
            f"{folder}: not a folder of this user's, so others may write there what we would run; "
            "remove it, or set XDG_CACHE_HOME"
        )
    if found.st_mode & 0o077:
        folder.chmod(0o700)
    return folder


def secure_dvc(root: Path) -> None:
    """Tell a `dvc` that is called by hand, too, where its site cache is: in `.dvc/config.local`.

    DVC makes that folder for everyone to write to and unpickles what is in it; and a relative path,
    all that a file in git could hold, does not survive `dvc exp run --temp`, which changes folders.
    """
    local = root / ".dvc" / "config.local"
    if not (root / ".dvc" / "config").is_file():
        return
    if local.is_file() and os.environ[SITE_CACHE] in local.read_text(encoding="utf-8"):
        return
    command = [sys.executable, "-m", "dvc", "config", "--local", "core.site_cache_dir"]
    subprocess.run([*command, os.environ[SITE_CACHE]], cwd=root, check=False, capture_output=True)


if __name__ == "__main__":  # at set-up, so that the first `dvc` by hand is safe, too
    apply_environment(project_root())
    secure_dvc(project_root())
