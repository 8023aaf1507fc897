"""`hmer serve`: read over HTTP; `hmer demo`: with a page to write on."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated

import typer

from hmer.commands.output import check_folder
from hmer.commands.recognize import MODEL_HELP, chosen_model
from hmer.extra import require

if TYPE_CHECKING:
    from fastapi import FastAPI

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PORT_HELP = "Port to listen at; 0: one that is free."


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen at; 0.0.0.0: all, for others to call.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help=_PORT_HELP)] = 8000,
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
    _, address, run = _app(host, port, model, workers=workers, waiting=waiting, seconds=seconds)
    sys.stderr.write(f"listening at {address}\n")
    run(connections=4 * waiting + 16)


def demo(
    host: Annotated[
        str, typer.Option(help="Address to listen at; 0.0.0.0: all, to write on a tablet.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help=_PORT_HELP)] = 8000,
    model: Annotated[Path | None, typer.Option(help=MODEL_HELP)] = None,
    save: Annotated[
        Path | None,
        typer.Option(help="Folder in which ink can be kept with its LaTeX, as InkML to train on."),
    ] = None,
    static: Annotated[
        Path | None,
        typer.Option(
            help="Write the page into this folder instead, with the recogniser in the browser: for "
            "any web space. It reads ink, no pictures. Needs hmer[export], and npm."
        ),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page.")] = True,
) -> None:
    """Open a page to write on with pen, finger or mouse, or to drop pictures on.

    It is for this machine alone unless --host says otherwise, keeps nothing unless --save names a
    folder, and needs no network. Needs `pip install 'hmer[serve]'`.
    """
    if static is not None:
        from hmer.web.static_page import write_static_page

        check_folder(static, "--static")
        write_static_page(static, chosen_model(model))
        sys.stderr.write(f"{static}: put it on any web space\n")
        return
    if save is not None:
        check_folder(save, "--save")
        save.mkdir(parents=True, exist_ok=True)
    app, address, run = _app(host, port, model)
    from hmer.web.page import add_page

    add_page(app, save)
    sys.stderr.write(f"write at {address} (Ctrl-C ends it)\n")
    if browser:  # its request waits until this runs; some browsers return when they are closed
        Thread(target=webbrowser.open, args=[address], daemon=True).start()
    run(connections=80)


def _app(
    host: str, port: int, model: Path | None, **limits: float
) -> tuple[FastAPI, str, Callable[..., None]]:
    """The application around a loaded recogniser, its address, and what runs it there."""
    require("fastapi", "uvicorn", "prometheus_client", extra="serve")
    from hmer.recognizer import Recognizer
    from hmer.web.api import LOCAL, Limits, create_app, listen
    from hmer.web.api import serve as run

    listening, address = listen(host, port)
    recognizer = Recognizer.load(chosen_model(model), "cpu")
    hosts = LOCAL if host in _LOOPBACK else ("*",)
    app = create_app(recognizer, Limits.model_validate(limits), hosts)
    return app, address, partial(run, app, listening)
