"""The page of `hmer demo`: static files beside the API, and labelled ink that a person keeps."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, ValidationError

from hmer.errors import HmerError
from hmer.files import atomic_file
from hmer.ink.inkml import InkDocument, write_inkml
from hmer.latex.dialect import normalise
from hmer.web.api import Strokes, body_of, ink_of, kind_of

STATIC = Path(__file__).parent / "static"
LARGEST, SECONDS = 2**20, 30.0
"""Of a request with ink and LaTeX to keep: its bytes, and how long it may take to arrive."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Kept(BaseModel):
    """Ink and what a person says that it means."""

    model_config = ConfigDict(extra="forbid")

    strokes: Strokes
    latex: str


def add_page(app: FastAPI, keep: Path | None = None) -> None:
    """Serve the page at /.

    Args:
        app: with the API.
        keep: folder for ink that is kept with its LaTeX, as InkML that `ingest` reads; None: none
            is.
    """
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/", include_in_schema=False)
    async def index() -> Response:
        return FileResponse(STATIC / "index.html", headers={"Content-Security-Policy": POLICY})

    @app.get("/v1/page", include_in_schema=False)
    async def page() -> dict[str, bool]:
        return {"keeps": keep is not None}

    @app.post("/v1/keep", include_in_schema=False)
    async def kept(request: Request) -> dict[str, str]:
        if keep is None:
            raise HTTPException(404, "nothing is kept; start hmer demo with --save FOLDER")
        # Browsers let pages of elsewhere send plain text, but no JSON, without asking.
        if kind_of(request) != "application/json":
            raise HTTPException(415, "send application/json")
        try:
            pair = Kept.model_validate_json(await body_of(request, LARGEST, SECONDS))
        except ValidationError as error:
            raise RequestValidationError(error.errors(include_input=False)) from None
        try:
            if not normalise(pair.latex):
                raise HmerError("write the LaTeX of the ink first")
            document = write_inkml(InkDocument(ink_of(pair.strokes), pair.latex))
            name = f"{hashlib.sha256(document).hexdigest()[:16]}.inkml"
            with atomic_file(keep / name) as path:
                path.write_bytes(document)
        except (HmerError, OSError) as error:
            raise HTTPException(422, str(error)) from None
        return {"file": name}
