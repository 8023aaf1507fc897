"""The HTTP API of a recogniser: pictures and ink in, LaTeX out (FastAPI).

It keeps nothing and opens no file. What a request may ask for is bounded: bytes, expressions,
waiting requests and seconds.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import re
import socket
import time
import warnings
from codecs import BOM_UTF8
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Event
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError
from starlette.datastructures import MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hmer import __version__
from hmer.decoding.bidirectional import DecodingConfig
from hmer.errors import HmerError
from hmer.ink.inkml import placed
from hmer.ink.page import expression_boxes
from hmer.ink.strokes import Ink
from hmer.recognition import Recognition
from hmer.recognizer import Recognizer

LOCAL = ("localhost", "127.0.0.1", "[::1]")
"""Names of this machine. Pages of elsewhere, whose name has been pointed at it, are refused."""

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_RAW = (
    "image/", "application/pdf", "application/inkml+xml", "application/xml", "text/xml",
    "application/octet-stream",
)  # fmt: skip
_DATA_URL = re.compile(r"\s*data:[^,]*;base64,")

_Point = Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)]
Strokes = list[list[_Point]]


class Limits(BaseModel):
    """What requests may ask for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    body: int = Field(16 * 2**20, ge=1, description="bytes of a request")
    batch: int = Field(32, ge=1, description="expressions of a request")
    waiting: int = Field(16, ge=1, description="requests that are read or wait; more get 429")
    seconds: float = Field(30.0, gt=0, description="until a request is answered with 504")
    workers: int = Field(1, ge=1, description="expressions that are read at once")


class Item(BaseModel):
    """One expression: a picture, strokes or InkML."""

    model_config = ConfigDict(extra="forbid")

    image: str | None = Field(None, description="a picture file, base64 or a data URL")
    strokes: Strokes | None = Field(None, description="strokes of points [x, y]")
    inkml: str | None = None

    def given(self) -> int:
        """How many of the three there are."""
        return sum(one is not None for one in (self.image, self.strokes, self.inkml))

    def source(self) -> bytes | Ink:
        """What is to be read.

        Raises:
            HmerError: there is not exactly one of the three, or it cannot be decoded.
        """
        if self.given() != 1:
            raise HmerError("give one of image, strokes and inkml for each expression")
        if self.image is not None:
            plain = "".join(_DATA_URL.sub("", self.image, count=1).split())
            try:
                return base64.b64decode(plain, validate=True)
            except (binascii.Error, ValueError):
                raise HmerError("image is not base64; encode the bytes of a PNG or JPEG") from None
        if self.inkml is not None:
            return self.inkml.encode()
        return ink_of(self.strokes or [])


class Call(Item):
    """A request: one expression, or `batch` of them."""

    batch: list[Item] | None = None
    n_best: int = Field(1, ge=1, le=100, description="readings of each expression")
    symbols: bool = Field(False, description="also where each token is written")
    beam: int = Field(10, ge=1, le=30, description="hypotheses per direction")


def ink_of(strokes: Strokes) -> Ink:
    """Ink of lists of points.

    Raises:
        HmerError: there are no points, too many, or they are too far apart.
    """
    found = [np.array(stroke, np.float64) for stroke in strokes if stroke]
    if not found:
        raise HmerError("strokes: there are no points")
    return Ink(placed(found, "strokes"))


def answer(found: Recognition, *, n_best: int, symbols: bool) -> dict[str, Any]:
    """A reading as JSON."""
    shown: dict[str, Any] = {
        "latex": found.latex,
        "compact": found.compact,
        "mathml": found.mathml,
        "confidence": round(found.confidence, 4),
        "n_best": [
            {"latex": one.latex, "compact": one.compact, "confidence": round(one.confidence, 4)}
            for one in found.n_best[:n_best]
        ],
    }
    if symbols:
        shown["symbols"] = [
            {"token": s.token, "place": s.place, "box": s.box, "strokes": s.strokes}
            for s in found.symbols
        ]
    return shown


_LOOK = 0.1
"""Seconds after which it is looked whether a client is there still."""


class _Queue:
    """Reads in threads; refuses what would wait too long."""

    def __init__(self, recognizer: Recognizer, limits: Limits, registry: CollectorRegistry) -> None:
        self.recognizer = recognizer
        self.limits = limits
        self.pool = ThreadPoolExecutor(limits.workers, "recognise")
        self.waiting = Gauge("hmer_requests", "Requests read or waiting", registry=registry)
        self.seconds = Histogram("hmer_seconds", "Seconds until read", registry=registry)
        self.count = 0

    async def read(
        self, call: Call, items: list[Item | bytes], left: Callable[[], Awaitable[bool]]
    ) -> list[dict[str, Any]]:
        """Answers, one an expression.

        Args:
            call: how to read.
            items: the expressions.
            left: whether the client has hung up; what nobody waits for is not read.

        Raises:
            HTTPException: too many requests (429), too long a wait (504), or nobody waits (499).
        """
        if self.count >= self.limits.waiting:
            raise HTTPException(429, "too many requests; try again later", {"Retry-After": "1"})
        self.count += 1
        self.waiting.set(self.count)
        began, loop, over = time.perf_counter(), asyncio.get_running_loop(), Event()
        future = self.pool.submit(self._read, call, items, over)
        # A thread cannot be stopped: its place is free when it has ended, not before.
        future.add_done_callback(lambda done: loop.call_soon_threadsafe(self._left, done))
        reading = asyncio.wrap_future(future)
        try:
            while not (await asyncio.wait([reading], timeout=_LOOK))[0]:
                if time.perf_counter() - began > self.limits.seconds:
                    raise HTTPException(504, "not read in time; send less at once")
                if await left():
                    raise HTTPException(499, "the client has hung up")
        finally:
            over.set()
            reading.cancel()  # if it has not begun
        self.seconds.observe(time.perf_counter() - began)
        return reading.result()

    def _left(self, done: Future[Any]) -> None:
        self.count -= 1
        self.waiting.set(self.count)

    def _read(self, call: Call, items: list[Item | bytes], over: Event) -> list[dict[str, Any]]:
        decoding = DecodingConfig(beam=call.beam)
        found: list[dict[str, Any]] = []
        for item in items:
            if over.is_set():
                break
            try:
                source = item.source() if isinstance(item, Item) else item
                read = self.recognizer.recognize(source, decoding)
                shown = answer(read, n_best=call.n_best, symbols=call.symbols)
                count = len(expression_boxes(read.image, self.recognizer.render.unit))
                if count > 1:
                    shown["warning"] = (
                        f"there seem to be {count} expressions, and they are read as one; send "
                        "each by itself"
                    )
                found.append(shown)
            except HmerError as error:
                found.append({"error": str(error)})
        return found


class _Headers:
    """Middleware: the headers of every answer, and its status counted.

    Not FastAPI's decorator for functions, which hides from the request that its client has left.
    """

    def __init__(self, app: ASGIApp, answers: Counter) -> None:
        self.app = app
        self.answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                self.answers.labels(str(message["status"])).inc()
            await send(message)

        await self.app(scope, receive, complete)


def create_app(
    recognizer: Recognizer, limits: Limits | None = None, hosts: tuple[str, ...] = LOCAL
) -> FastAPI:
    """The application, around a loaded recogniser.

    Args:
        recognizer: reads.
        limits: of requests.
        hosts: names under which it may be called; ("*",) for any.
    """
    bounds = limits or Limits()
    registry = CollectorRegistry()
    answers = Counter("hmer_answers", "Answers by status", ["status"], registry=registry)
    queue = _Queue(recognizer, bounds, registry)
    # Pages of documentation would fetch scripts of elsewhere.
    app = FastAPI(title="hmer", version=__version__, docs_url=None, redoc_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))

    app.add_middleware(_Headers, answers=answers)

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok", "version": __version__}

    @app.get("/readyz")
    async def ready() -> Response:
        """Whether another request would be taken."""
        free = queue.count < bounds.waiting
        return JSONResponse({"waiting": queue.count}, 200 if free else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        """For Prometheus."""
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

    @app.post("/v1/recognize", openapi_extra=_BODY)
    async def recognize(
        request: Request, n_best: int = 1, symbols: bool = False, beam: int = 10
    ) -> Response:
        """Read a picture or ink; the queries are those of the JSON object, for bodies of bytes."""
        body = await body_of(request, bounds.body, bounds.seconds)
        kind = kind_of(request)
        try:
            if kind == "application/json":
                # PowerShell writes the mark, and servers may pass over it (RFC 8259, 8.1).
                call = Call.model_validate_json(body.removeprefix(BOM_UTF8))
            elif kind.startswith(_RAW):
                call = Call(n_best=n_best, symbols=symbols, beam=beam)
            else:
                raise HTTPException(415, "send application/json, image/png or the like, or InkML")
        except ValidationError as error:
            raise RequestValidationError(error.errors(include_input=False)) from None
        items: list[Item | bytes] = [call if kind == "application/json" else body]
        if call.batch is not None:
            if not 1 <= len(call.batch) <= bounds.batch or call.given():
                raise HTTPException(422, f"a batch has 1 to {bounds.batch} expressions, all in it")
            items = [*call.batch]
        found = await queue.read(call, items, request.is_disconnected)
        if call.batch is not None:
            return JSONResponse({"results": found})
        if "error" in found[0]:
            raise HTTPException(422, found[0]["error"])
        return JSONResponse(found[0])

    return app


def kind_of(request: Request) -> str:
    """The media type of a request's body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def body_of(request: Request, largest: int, seconds: float) -> bytes:
    """The body of a request, of so many bytes and seconds at most.

    Raises:
        HTTPException: it is larger (413), does not arrive in time (408) or ends early (400).
    """
    parts, size = [], 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size > largest:
                    raise HTTPException(413, f"more than {largest} bytes; send a smaller request")
                parts.append(part)
    except TimeoutError:
        raise HTTPException(408, "the request did not arrive in time") from None
    except ClientDisconnect:
        raise HTTPException(400, "the request ended early") from None
    return b"".join(parts)


_SCHEMA = "#/paths/~1v1~1recognize/post/requestBody/content/application~1json/schema/$defs/{model}"
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": Call.model_json_schema(ref_template=_SCHEMA)},
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "application/inkml+xml": {"schema": {"type": "string"}},
        },
    }
}


def listen(host: str, port: int) -> tuple[socket.socket, str]:
    """A socket that listens, and its address; port 0: one that is free.

    Raises:
        HmerError: there is no such address here, or another program listens at it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error
        raise HmerError(
            f"cannot listen at {host}, port {port} ({reason}); choose another --host or --port"
        ) from None
    name = f"[{host}]" if ":" in host else host
    return listening, f"http://{name}:{listening.getsockname()[1]}/"


def serve(app: FastAPI, listening: socket.socket, connections: int) -> None:
    """Answer until interrupted, so many connections at a time; further ones get 503."""
    import uvicorn

    config = uvicorn.Config(
        app, log_level="warning", timeout_keep_alive=5, limit_concurrency=connections
    )
    with warnings.catch_warnings(), suppress(KeyboardInterrupt):
        warnings.simplefilter("ignore", UserWarning)  # several expressions on a picture
        uvicorn.Server(config).run(sockets=[listening])
