"""`hmer serve`: read over HTTP."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hmer.commands.recognize import MODEL_HELP, chosen_model
from hmer.extra import require

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen at; 0.0.0.0: all, for others to call.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    model: Annotated[Path | None, typer.Option(help=MODEL_HELP)] = None,
    workers: Annotated[int, typer.Option(min=1, help="Expressions that are read at once.")] = 1,
    waiting: Annotated[
        int, typer.Option(min=1, help="Requests that are read or wait; further ones get 429.")
    ] = 16,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="After which a request is answered with 504.")
    ] = 30.0,
) -> None:
    """Answer POST /v1/recognize: a picture's bytes, InkML, or JSON.

    The JSON object has `image` (base64), `strokes` ([[[x, y], ...], ...]) or `inkml`, or `batch`, a
    list of such objects; and `n_best`, `beam`, `symbols`. GET /openapi.json describes it, /healthz,
    /readyz and /metrics are for those who watch it. Nothing is kept. There is no password: before
    it listens to others, put it behind what has one. Needs `pip install 'hmer[serve]'`.
    """
    require("fastapi", "uvicorn", "prometheus_client", extra="serve")
    from hmer.recognizer import Recognizer
    from hmer.web.api import LOCAL, Limits, create_app
    from hmer.web.api import serve as run

    recognizer = Recognizer.load(chosen_model(model), "cpu")
    hosts = LOCAL if host in _LOOPBACK else ("*",)
    app = create_app(recognizer, Limits(workers=workers, waiting=waiting, seconds=seconds), hosts)
    sys.stderr.write(f"listening at http://{host}:{port}\n")
    run(app, host, port, connections=4 * waiting + 16)
