"""Screenshots for these pages, of a project that has run: `python -m docs.screens [PROJECT]`.

The report, and MLflow's and Prefect's user interfaces on the project's own stores, in headless
Chromium; the pictures are written beside this file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from PIL import Image

from pipeline.env import apply_environment, project_root
from pipeline.flow.serve import answers, free_port, server
from pipeline.tracking.store import connect

HERE = Path(__file__).parent.resolve()
SIZE = (1900, 900)
WAIT_MS = 30_000  # for the pages' scripts, which fetch what they show
COLOURS = 64  # of a picture: enough for text, and a quarter of the bytes
FAR = "mlflow.test"  # by a name that is not the loopback's, MLflow does not open its assistant


def main() -> None:
    """Take all pictures."""
    root = project_root()
    apply_environment(root)
    shoot((root / "reports/index.html").as_uri(), "report")
    client, experiment = connect(root)
    decided = "tags.stage = 'pipeline' and tags.decision != ''"
    parents = client.search_runs([experiment], decided, max_results=1)
    if not parents:
        sys.exit(f"{root}: no run has been decided on: python -m pipeline run comes first")
    with mlflow() as address:
        pages = {
            "mlflow-runs": f"experiments/{experiment}/runs",
            "mlflow-run": f"experiments/{experiment}/runs/{parents[0].info.run_id}",
        }
        for model in client.search_registered_models(max_results=1):
            pages["mlflow-model"] = f"models/{model.name}"
        for name, page in pages.items():
            shoot(f"{address}/#/{page}?workflowType=machine_learning", name)
    with server() as api:
        found = latest_flow_run(api)
        if found:
            shoot(f"{api.removesuffix('/api')}/runs/flow-run/{found}", "prefect-run")


@contextmanager
def mlflow() -> Iterator[str]:
    """Address of MLflow's user interface on the project's store."""
    port = free_port(0)
    command = [sys.executable, "-m", "mlflow", "ui", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", os.environ["MLFLOW_TRACKING_URI"]]
    command += ["--allowed-hosts", f"127.0.0.1:{port},{FAR}:{port}"]
    command += ["--cors-allowed-origins", f"http://{FAR}:{port}"]
    quiet = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with subprocess.Popen(
        command, env=quiet, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while not answers(f"http://127.0.0.1:{port}"):
            if process.poll() is not None:
                sys.exit("mlflow ui ended before it answered")
            time.sleep(0.5)
        try:
            yield f"http://{FAR}:{port}"
        finally:
            process.terminate()


def latest_flow_run(api: str) -> str | None:
    """Its id, from a Prefect server."""
    wanted = {"limit": 1, "sort": "START_TIME_DESC"}
    runs = httpx.post(f"{api}/flow_runs/filter", json=wanted).raise_for_status().json()
    return str(runs[0]["id"]) if runs else None


def shoot(address: str, name: str) -> None:
    """The picture `name`.png of a page."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("Chromium is not installed (no chromium on PATH): it draws the pages")
    file = HERE / f"{name}.png"
    with tempfile.TemporaryDirectory() as profile:
        command = [chromium, "--headless", "--no-sandbox", "--hide-scrollbars"]
        command += [f"--user-data-dir={profile}", f"--window-size={SIZE[0]},{SIZE[1]}"]
        command += [f"--host-resolver-rules=MAP {FAR} 127.0.0.1", f"--screenshot={file}"]
        command += [f"--virtual-time-budget={WAIT_MS}", address]
        for _ in range(2):  # on a first visit pages show hints
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL, timeout=300)
    Image.open(file).convert("RGB").quantize(COLOURS).save(file, optimize=True)
    sys.stdout.write(f"{file}\n")


if __name__ == "__main__":
    os.chdir(sys.argv[1] if len(sys.argv) > 1 else HERE.parent)
    main()
