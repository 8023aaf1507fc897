"""The page as static files, which read in the browser: for any web space, without a server.

Its files are the page's own, the recogniser as ONNX with its weights, and onnxruntime-web, which is
fetched by npm: it is larger than all of this package.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from hmer.errors import HmerError
from hmer.export.runtime import ABOUT, ENCODER, SECTION, STEP, WEIGHTS, Graph, Graphs, read_weights
from hmer.extra import require
from hmer.files import atomic_folder
from hmer.models.about import read_about
from hmer.recognizer import SHIPPED, Recognizer

STATIC = Path(__file__).parent / "static"
RUNTIME = "onnxruntime-web@1.22.0"
_RUNTIME_FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; "
    "style-src 'self'; font-src 'self'; connect-src 'self'; img-src 'self' blob: data:; "
    "base-uri 'none'; form-action 'none'"
)


def write_static_page(out: Path, model: Path | None = None) -> None:
    """Write the page into a folder: all of it, or nothing.

    Args:
        out: folder; it is created, and replaced if it holds an earlier page.
        model: folder of a recogniser with graphs; by default the one that comes with the package.

    Raises:
        HmerError: npm or the package onnx is missing, onnxruntime-web cannot be fetched, the
            recogniser has no graphs, or the folder holds something else.
    """
    onnx = require("onnx", extra="export")
    if out.exists() and not (out / "static/worker.js").is_file() and any(out.iterdir()):
        raise HmerError(f"{out}: holds other files; name a new folder with --static")
    folder = Path(model or SHIPPED)
    recognizer = Recognizer.load(folder, backend="onnx")
    about = read_about(folder / ABOUT)
    graphs = Graphs.model_validate(about.get(SECTION, about))
    with atomic_folder(out.absolute()) as made, tempfile.TemporaryDirectory() as temporary:
        shutil.copytree(STATIC, made / "static")
        page = (STATIC / "index.html").read_text(encoding="utf-8")
        policy = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        page = page.replace('<html lang="en">', '<html lang="en" data-reads="here">')
        page = page.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n  {policy}')
        (made / "index.html").write_text(page, encoding="utf-8")
        (made / "static/index.html").unlink()
        _fetch_runtime(Path(temporary), made / "static/onnxruntime")
        place = made / "static/model"
        place.mkdir()
        digest = str(about.get("sha256"))
        weights = read_weights(folder / WEIGHTS, digest) if SECTION in about else {}
        for name, graph in ((ENCODER, graphs.encoder), (STEP, graphs.step)):
            proto = onnx.load(folder / name, load_external_data=False)
            _put_weights(onnx, proto, graph, weights)
            onnx.save_model(proto, place / name)
        text = json.dumps(_described(recognizer, graphs), ensure_ascii=False)
        (place / ABOUT).write_text(text, encoding="utf-8")


def _described(recognizer: Recognizer, graphs: Graphs) -> dict[str, Any]:
    """What recogniser.js must know."""
    words, calibration = recognizer.vocabulary, recognizer.calibration
    return {
        "stride": graphs.stride,
        "past": graphs.past,
        "render": recognizer.render.model_dump(),
        "banned": words.encode(recognizer.unwritten),
        "calibration": calibration._asdict() if calibration else None,
        "words": {
            "pad": words.pad,
            "sos": words.sos,
            "eos": words.eos,
            "offset": len(words) - len(words.tokens),
            "tokens": words.tokens,
        },
    }


def _put_weights(onnx: Any, proto: Any, graph: Graph, weights: dict[str, Any]) -> None:
    """Give a graph the tensors that it lacks; what is stored in half precision stays so."""
    kinds, numpy_helper = onnx.TensorProto, onnx.numpy_helper
    casts = []
    for tensor in proto.graph.initializer:
        source = graph.weights.get(tensor.name)
        if source is None:
            continue
        value, name = source.compute(weights), tensor.name
        half = value.astype(np.float16)
        if (half == value).all():
            casts.append(onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=kinds.FLOAT))
            value, name = half, f"{name}_half"
        tensor.CopyFrom(numpy_helper.from_array(value, name))
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)


def npm_package(package: str, folder: Path) -> Path:
    """The archive of a package, from the registry that npm is set up for.

    Args:
        package: its name and version, `onnxruntime-web@1.22.0`.
        folder: where the archive goes.

    Raises:
        HmerError: npm is missing, or the package cannot be fetched.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise HmerError(f"npm is missing, which fetches {package}; install Node.js")
    done = subprocess.run(
        [npm, "pack", package, "--silent", "--pack-destination", str(folder)],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    packed = next(folder.glob("*.tgz"), None)
    if done.returncode or packed is None:
        reason = next((line for line in done.stderr.splitlines() if line.strip()), "no file")
        raise HmerError(
            f"npm cannot fetch {package} ({reason}); check the network or `npm config get registry`"
        )
    return packed


def _fetch_runtime(temporary: Path, place: Path) -> None:
    """The files of onnxruntime-web that the page needs."""
    packed = npm_package(RUNTIME, temporary)
    place.mkdir()
    with tarfile.open(packed) as archive:
        for name in _RUNTIME_FILES:
            try:
                member = archive.extractfile(f"package/dist/{name}")
            except KeyError:
                member = None
            if member is None:
                raise HmerError(f"{RUNTIME} has no {name}; another version of it is needed")
            (place / name).write_bytes(member.read())
