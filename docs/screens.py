"""Screenshots for these pages, of a project that has run: `python docs/screens.py [PROJECT]`.

MLflow's and Prefect's user interfaces are started on the project's own stores and shown in headless
Chromium, as is the report; the pictures are written beside this file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from pipeline.env import apply_environment, project_root
from pipeline.flow.serve import answers, free_port, server
from pipeline.tracking.store import connect
from tests.hmer.web.browser import Browser, opened

HERE = Path(__file__).parent.resolve()
SIZE = {"width": 1440, "height": 900, "deviceScaleFactor": 1, "mobile": False}
COLOURS = 64  # of a picture: enough for text, and a quarter of the bytes


def main() -> None:
    """Take all pictures."""
    root = project_root()
    apply_environment(root)
    client, experiment = connect(root)
    (parent,) = client.search_runs([experiment], "tags.decision != ''", max_results=1)
    name = parent.data.tags["mlflow.note.content"].split("**")[1].split()[0]
    with opened("about:blank") as browser:
        browser.call("Emulation.setDeviceMetricsOverride", **SIZE)
        shoot(browser, (root / "reports/index.html").as_uri(), "ExpRate", "report")
        with mlflow() as address:
            runs = f"{address}/#/experiments/{experiment}/runs"
            shoot(browser, runs, "ExpRate", "mlflow-runs")
            shoot(browser, f"{runs}/{parent.info.run_id}", "ExpRate", "mlflow-run")
            shoot(browser, f"{address}/#/models/{name}", "Registered At", "mlflow-model")
            version = parent.data.tags["version"]
            page = f"{address}/#/models/{name}/versions/{version}"
            shoot(browser, page, "ExpRate", "mlflow-version")
        with server() as api:
            page = f"{api.removesuffix('/api')}/runs/flow-run/{latest_flow_run(api)}"
            shoot(browser, page, "finetune", "prefect-run")


@contextmanager
def mlflow() -> Iterator[str]:
    """MLflow's user interface on the project's store."""
    port = free_port(0)
    command = [sys.executable, "-m", "mlflow", "ui", "--port", str(port)]
    command += ["--backend-store-uri", os.environ["MLFLOW_TRACKING_URI"]]
    quiet = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with subprocess.Popen(command, env=quiet, stderr=subprocess.DEVNULL) as process:
        address = f"http://127.0.0.1:{port}"
        while not answers(f"{address}"):
            time.sleep(0.5)
        try:
            yield address
        finally:
            process.terminate()


def latest_flow_run(api: str) -> str:
    """Its id, from a Prefect server."""
    asked = urllib.request.Request(
        f"{api}/flow_runs/filter",
        json.dumps({"limit": 1, "sort": "START_TIME_DESC"}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked) as answer:
        return str(json.load(answer)[0]["id"])


def shoot(browser: Browser, address: str, wanted: str, name: str) -> None:
    """The picture `name`.png of a page, once it shows a text and has settled."""
    browser.call("Page.navigate", url="about:blank")
    browser.call("Page.navigate", url=address)
    browser.until(f"document.body && document.body.innerText.includes({wanted!r})")
    time.sleep(3)  # pictures and charts come last
    file = HERE / f"{name}.png"
    browser.picture(file)
    Image.open(file).convert("RGB").quantize(COLOURS).save(file, optimize=True)


if __name__ == "__main__":
    os.chdir(sys.argv[1] if len(sys.argv) > 1 else HERE.parent)
    main()
