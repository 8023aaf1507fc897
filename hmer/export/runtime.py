"""Reading by onnxruntime, without PyTorch: graphs with their weights, or beside model.safetensors.

`hmer export` writes graphs that hold their weights. The recogniser that comes with the package has
graphs without: they are given those of `model.safetensors`, which training uses, too.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hmer.decoding.step import Floats, Numbers, in_place
from hmer.errors import HmerError
from hmer.extra import require
from hmer.models.about import About, read_about, reason_of, told_of

ENCODER, STEP, ABOUT, WEIGHTS = "encoder.onnx", "step.onnx", "model.json", "model.safetensors"
KIND = "exported recogniser"
BESIDE = ("attention", "cells", "lone_symbol")
"""Outputs of the encoder that no step takes; the last only where there is a classifier."""
SECTION = "onnx"
"""Entry of a recogniser's model.json that describes the graphs beside it."""
_AGAIN = "export the model again"

Size = Annotated[int, Field(ge=0, le=2**20)] | Literal["batch", "places", "new", "cells"]
"""A side of an array, or the name of one that varies."""
Array = NDArray[Any]


class Source(BaseModel):
    """How a tensor of a graph comes from the weights in model.safetensors."""

    model_config = ConfigDict(frozen=True)

    of: str
    """The weights."""
    transposed: bool = False
    norm: str | None = None
    """Name of the batch normalisation after a filter, which is folded into it."""
    bias: bool = False
    """What the norm adds, in place of the filter."""

    def compute(self, weights: Mapping[str, Array], epsilon: float = 1e-5) -> Array:
        """The tensor, in full precision. Raises KeyError: weights are missing."""
        found = np.asarray(weights[self.of], np.float32)
        if self.norm is not None:
            scale, shift, mean, variance = (
                np.asarray(weights[f"{self.norm}.{part}"], np.float32)
                for part in ("weight", "bias", "running_mean", "running_var")
            )
            scale = scale / np.sqrt(variance + np.float32(epsilon))
            found = shift - mean * scale if self.bias else found * scale[:, None, None, None]
        return np.ascontiguousarray(found.T if self.transposed else found)


class Graph(BaseModel):
    """What goes into a graph and what comes out, by name and in order."""

    model_config = ConfigDict(frozen=True)

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weights: dict[str, Source] = {}
    """Tensors that the graph lacks, and where they come from."""


class Graphs(BaseModel):
    """What a program must know to read with the two graphs."""

    model_config = ConfigDict(frozen=True)

    stride: int = Field(ge=1, le=256)
    sha256: dict[str, str]
    encoder: Graph
    step: Graph
    past: tuple[tuple[Size, ...], ...]
    """Shapes of the caches; names are sizes that vary, and `places` is 0 at the start."""


class OnnxReader:
    """Both graphs, as `hmer.recognizer` uses them; may be used by several threads."""

    def __init__(self, graphs: Graphs, encoder: Any, step: Any) -> None:
        self.graphs = graphs
        self.stride = graphs.stride
        self._encoder = encoder
        self._step = step

    def encode(self, images: Floats) -> OnnxStep:
        """Images (B, 1, H, W), ink 1 on 0, their sides multiples of the stride."""
        names = self.graphs.encoder.outputs
        found = dict(zip(names, self._encoder.run(list(names), {"images": images}), strict=True))
        memory = {name: x for name, x in found.items() if name not in BESIDE}
        return OnnxStep(self, memory, found["attention"], found["cells"], found.get("lone_symbol"))

    def step(self, feeds: dict[str, Array], *, looked: bool = True) -> list[Array]:
        """The outputs of one step; the last, the attention, only if it is asked for."""
        names = list(self.graphs.step.outputs)
        found: list[Array] = self._step.run(names if looked else names[:-1], feeds)
        return found


@dataclass(frozen=True, slots=True)
class Written:
    """What K hypotheses of each of B inputs have written: each token once, whoever shares it."""

    caches: tuple[Array, ...]
    """Keys and values of each layer, (B, heads, places, width / heads)."""
    covered: tuple[Array, ...]
    """Of each layer (B, heads, K, N)."""
    seen: NDArray[np.bool_]
    """(B, K, places): which tokens are a hypothesis's own."""
    length: Numbers
    """(B, K), tokens of each."""


@dataclass(frozen=True, slots=True)
class OnnxStep:
    """Images that are encoded: a `hmer.decoding.step.TreeStep`."""

    reader: OnnxReader
    memory: dict[str, Array]
    attention: NDArray[np.float32]
    """(B, h, w): the spatial attention map."""
    cells: Numbers
    """(B, N): numbers of the cells that the decoder sees."""
    lone_symbol: NDArray[np.float32] | None
    """(B, 2, V): logits of single symbols; None without a classifier of them."""

    def keep(self, rows: Numbers) -> OnnxStep:
        """See `Step`."""
        memory = {name: x[rows] for name, x in self.memory.items()}
        lone = None if self.lone_symbol is None else self.lone_symbol[rows]
        return OnnxStep(self.reader, memory, self.attention[rows], self.cells[rows], lone)

    def maps(self, tokens: Numbers) -> NDArray[np.float32]:
        """Where the decoder looks at each of the tokens (B, T): (B, T, h, w)."""
        found = np.zeros((*tokens.shape, self.attention[0].size), np.float32)
        rows = np.arange(len(tokens))[:, None, None]
        columns = np.arange(tokens.shape[1])[None, :, None]
        # Added: padding has the number of the first cell, and no attention.
        np.add.at(found, (rows, columns, self.cells[:, None, :]), self._looks(tokens))
        return found.reshape(*tokens.shape, *self.attention.shape[1:])

    @property
    def rows(self) -> int:
        """See `TreeStep`."""
        cells: int = self.memory["bias"].shape[-1]
        return max(1, _ROOM // cells)

    def __call__(self, tokens: Numbers, past: Written | None) -> tuple[Floats, Written]:
        """See `Step`."""
        return self._grown(tokens, None, past)

    def grow(
        self, tokens: Numbers, parents: Numbers, past: Written | None
    ) -> tuple[Floats, Written]:
        """See `TreeStep`."""
        batch, new = tokens.shape
        above = np.zeros((batch, 1, new, new), np.float32)
        rows, columns = np.nonzero(parents >= 0)
        above[rows, 0, columns, parents[rows, columns]] = 1.0
        while True:  # who is above who is above
            further = np.minimum(above + above @ above, 1.0)
            if (further == above).all():
                break
            above = further
        if past is not None:
            # The first of its line continues a hypothesis; it is itself where nothing is above.
            line = np.where(above[:, 0] > 0, np.arange(new), new).min(axis=2)
            line = np.where(line == new, np.arange(new), line)
            past = _chosen(past, line.clip(max=past.length.shape[1] - 1))  # padding continues any
        return self._grown(tokens, above, past)

    def _grown(
        self, tokens: Numbers, above: Floats | None, past: Written | None
    ) -> tuple[Floats, Written]:
        """Log-probabilities of what follows new tokens (B, M), and what is written then.

        `above` (B, 1, M, M) is 1 where one comes before another; None: none does. `past` is of as
        many hypotheses, those that the new tokens continue.
        """
        past = past or self._nothing(*tokens.shape)
        feeds, seen = self._feeds(tokens, above, past)
        said, *grown = self.reader.step(feeds, looked=False)
        count = len(past.caches)
        written = Written(tuple(grown[:count]), tuple(grown[count:]), seen, feeds["depth"] + 1)
        return said, written

    def _feeds(
        self, tokens: Numbers, above: Floats | None, past: Written
    ) -> tuple[dict[str, Array], NDArray[np.bool_]]:
        """What goes into the graph, and which places the new tokens see (B, M, places + M)."""
        depth, (own, none) = past.length, _alone(*tokens.shape)
        if above is not None:
            own = own | (above[:, 0] > 0)
            depth = depth + above[:, 0].sum(axis=2).astype(np.int64)
        seen = np.concatenate([past.seen, own], axis=2)
        feeds = {
            "tokens": tokens,
            "depth": depth,
            "seen": np.where(seen, np.float32(0), _HIDDEN)[:, None],
            "above": none if above is None else above,
            **self.memory,
        }
        feeds.update((f"past_{i}", x) for i, x in enumerate((*past.caches, *past.covered)))
        return feeds, seen

    def _nothing(self, batch: int, new: int) -> Written:
        """What so many hypotheses have written before their first token."""
        shapes = self.reader.graphs.past
        sizes = {"batch": batch, "new": new, "places": 0, "cells": self.memory["bias"].shape[-1]}
        empty = [
            np.zeros([sizes[n] if isinstance(n, str) else n for n in shape], np.float32)
            for shape in shapes
        ]
        count = sum("places" in shape for shape in shapes)
        return Written(
            tuple(empty[:count]),
            tuple(empty[count:]),
            np.zeros((batch, new, 0), np.bool_),
            np.zeros((batch, new), np.int64),
        )

    def reorder(self, past: Written, inputs: Numbers, origin: Numbers) -> Written:
        """See `Step`."""
        if in_place(inputs, origin, *past.length.shape):
            return past
        if len(inputs) < len(past.length):
            past = Written(
                tuple(x[inputs] for x in past.caches),
                tuple(x[inputs] for x in past.covered),
                past.seen[inputs],
                past.length[inputs],
            )
        return _tidy(_chosen(past, origin))

    def _looks(self, tokens: Numbers) -> NDArray[np.float32]:
        """The last layer's attention (B, T, N) at each of the tokens (B, T)."""
        batch, length = tokens.shape
        above = np.tri(length, k=-1, dtype=np.float32)[None, None].repeat(batch, axis=0)
        feeds, _ = self._feeds(tokens, above, self._nothing(batch, length))
        looked: NDArray[np.float32] = self.reader.step(feeds)[-1].mean(axis=1)
        return looked


_ROOM = 2**14
"""Rows and cells of the largest array that is made for a tree, multiplied: a processor's cache."""
_DEAD = 64
"""Places of tokens that are no living hypothesis's, until they are given up."""
_HIDDEN = np.float32(-np.inf)


@lru_cache(maxsize=64)
def _alone(batch: int, new: int) -> tuple[NDArray[np.bool_], Floats]:
    """Which new tokens each sees, and which come before it, where none follows another."""
    own = np.eye(new, dtype=np.bool_)[None].repeat(batch, axis=0)
    return own, np.zeros((batch, 1, new, new), np.float32)


def _chosen(past: Written, origin: Numbers) -> Written:
    """Of as many inputs, the hypotheses `origin` (B, K)."""
    rows = np.arange(len(origin))[:, None]
    if len(origin) == 1:
        covered = tuple(x.take(origin[0], axis=2) for x in past.covered)
    else:
        covered = tuple(
            np.ascontiguousarray(x.swapaxes(1, 2)[rows, origin].swapaxes(1, 2))
            for x in past.covered
        )
    return Written(past.caches, covered, past.seen[rows, origin], past.length[rows, origin])


def _tidy(past: Written) -> Written:
    """Without most places that no hypothesis sees, if there are many."""
    if past.seen.shape[2] < past.seen.shape[1] + _DEAD:
        return past
    live = past.seen.any(axis=1)
    most = int(live.sum(axis=1).max())
    if live.shape[1] - most < _DEAD:
        return past
    # A stable sort brings what is seen to the front and keeps its order.
    kept = (~live).argsort(axis=1, kind="stable")[:, :most]
    rows = np.arange(len(kept))[:, None]
    caches = tuple(
        np.ascontiguousarray(x.swapaxes(1, 2)[rows, kept].swapaxes(1, 2)) for x in past.caches
    )
    seen = np.take_along_axis(past.seen, kept[:, None], axis=2)
    return Written(caches, past.covered, seen, past.length)


def graphs_in(folder: Path) -> Literal["exported", "beside"] | None:
    """Whether graphs are in the folder: with their weights, beside model.safetensors, or none.

    Raises:
        HmerError: there can be no such path.
    """
    with told_of(folder):
        if not (folder / ENCODER).is_file():
            return None
    about = read_about(folder / ABOUT)
    if about.get("kind") == "recogniser":
        return "beside" if SECTION in about else None
    return "exported"


def load_graphs(folder: Path) -> tuple[OnnxReader, About]:
    """A recogniser as graphs, and how it reads.

    Raises:
        HmerError: onnxruntime is missing, or a file is missing, damaged or of another export.
    """
    runtime = require("onnxruntime")
    about = read_about(folder / ABOUT)
    exported = about.get("kind") == KIND
    if not exported and (about.get("kind") != "recogniser" or SECTION not in about):
        raise HmerError(f"{folder / ABOUT}: describes no {KIND} but {about.get('kind')!r}")
    with told_of(folder / ABOUT, _AGAIN):
        try:
            graphs = Graphs.model_validate(about if exported else about[SECTION])
            described = About.of(about)
        except (KeyError, ValidationError, HmerError) as error:
            raise HmerError(
                f"{folder / ABOUT}: not written by this version ({reason_of(error)}); {_AGAIN}"
            ) from None
    weights = {} if exported else read_weights(folder / WEIGHTS, str(about.get("sha256")))
    encoder = _session(runtime, folder / ENCODER, graphs, graphs.encoder, weights)
    step = _session(runtime, folder / STEP, graphs, graphs.step, weights)
    if step.get_outputs()[0].shape[-1:] != [len(described.vocabulary)]:
        raise HmerError(f"{folder / STEP}: of another vocabulary than {ABOUT} has; {_AGAIN}")
    return OnnxReader(graphs, encoder, step), described


def read_weights(path: Path, digest: str) -> dict[str, Array]:
    """The tensors of a safetensors file.

    Raises:
        HmerError: it cannot be read, or is not the file of that SHA-256.
    """
    from safetensors.numpy import load

    with told_of(path):
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise HmerError(f"{path}: does not match the digest in its JSON file; it is damaged")
        found: dict[str, Array] = load(data)
        broken = [name for name, x in found.items() if not np.isfinite(x).all()]
        if broken:
            raise HmerError(f"{path}: weights that are not finite numbers, e.g. {broken[0]}")
        return found


def _session(
    runtime: Any, path: Path, graphs: Graphs, graph: Graph, weights: Mapping[str, Array]
) -> Any:
    """A graph ready to run, as its JSON file describes it."""
    options = runtime.SessionOptions()
    # The matrices are small: further threads wait for each other more than they compute.
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS") or 1)
    options.enable_mem_pattern = False  # shapes change with every step; patterns would pile up
    options.log_severity_level = 3  # errors
    with told_of(path, _AGAIN):
        if not path.is_file():
            raise HmerError(f"{path}: missing; {_AGAIN}")
        data = path.read_bytes()
        if graphs.sha256.get(path.name) != hashlib.sha256(data).hexdigest():
            raise HmerError(f"{path}: does not match its digest in {ABOUT}; {_AGAIN}")
        if graph.weights:
            try:
                made = {name: source.compute(weights) for name, source in graph.weights.items()}
            except KeyError as error:
                raise HmerError(f"{path}: needs {error}, which {WEIGHTS} lacks; {_AGAIN}") from None
            values = [runtime.OrtValue.ortvalue_from_numpy(x) for x in made.values()]
            options.add_external_initializers(list(made), values)
        session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = tuple(
        tuple(x.name for x in found) for found in (session.get_inputs(), session.get_outputs())
    )
    if names != (graph.inputs, graph.outputs):
        raise HmerError(f"{path}: another graph than {ABOUT} describes; {_AGAIN}")
    return session
