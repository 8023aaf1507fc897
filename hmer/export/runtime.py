"""Reading with an exported recogniser, by onnxruntime."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from hmer.errors import HmerError
from hmer.export.extra import require
from hmer.ink.render import RenderConfig
from hmer.latex.vocabulary import Vocabulary
from hmer.models.base import Batch, Encoded, Recogniser
from hmer.models.checkpoint import read_about, told_of

ENCODER, STEP, ABOUT = "encoder.onnx", "step.onnx", "model.json"
KIND = "exported recogniser"
_AGAIN = "export the model again"


Size = Annotated[int, Field(ge=0, le=2**20)] | Literal["batch", "hypotheses", "length", "cells"]
"""A side of an array, or the name of one that varies."""


class Graph(BaseModel):
    """What goes into a graph and what comes out, by name and in order."""

    model_config = ConfigDict(frozen=True)

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class About(BaseModel):
    """What the JSON file beside the graphs says."""

    model_config = ConfigDict(frozen=True)

    name: str
    vocabulary: dict[str, Any]
    render: RenderConfig
    stride: int = Field(ge=1, le=256)
    int8: bool
    sha256: dict[str, str]
    encoder: Graph
    step: Graph
    past: tuple[tuple[Size, ...], ...]
    """Shapes of the caches; names are sizes that vary, and `length` is 0 at the start."""


class OnnxRecogniser(Recogniser):
    """An exported recogniser in place of the trained one: it reads, on the CPU, and no more."""

    def __init__(self, about: About, encoder: Any, step: Any, classes: int) -> None:
        super().__init__()
        self.config = self.about = about
        self.stride = about.stride
        self.classes = classes
        self._encoder = encoder
        self._step = step

    def encode(self, images: Tensor) -> Encoded:
        """See `Recogniser.encode`; the features stay in the graph."""
        found = _run(self._encoder, self.about.encoder, [images])
        return Encoded(found[:-1], found[-1], images.new_zeros(len(images), 0))

    def step(
        self, tokens: Tensor, encoded: Encoded, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See `Recogniser.step`."""
        if not past:
            batch, hypotheses = tokens.shape
            cells = encoded.memory[-1].shape[-1]
            sizes = {"batch": batch, "hypotheses": hypotheses, "length": 0, "cells": cells}
            past = tuple(
                torch.zeros([sizes[n] if isinstance(n, str) else n for n in shape])
                for shape in self.about.past
            )
        logits, *grown = _run(self._step, self.about.step, [tokens, *encoded.memory, *past])
        return logits, tuple(grown)

    def losses(self, batch: Batch) -> tuple[Mapping[str, Tensor], Tensor]:
        """An exported recogniser is not trained."""
        raise HmerError("an exported recogniser cannot be trained; use the model it was made from")

    def attention_maps(self, tokens: Tensor, encoded: Encoded) -> Tensor:
        """An exported recogniser does not show where it looks."""
        raise HmerError(
            "an exported recogniser has no attention per token; use the model it was made from"
        )


def is_exported(folder: Path) -> bool:
    """Whether `hmer export` has written the folder.

    Raises:
        HmerError: there can be no such path.
    """
    with told_of(folder):
        return (folder / ENCODER).is_file()


def load_exported(folder: Path) -> tuple[OnnxRecogniser, Vocabulary, RenderConfig]:
    """A recogniser that `hmer export` has written, its vocabulary and its scale.

    It uses as many threads as PyTorch does.

    Raises:
        HmerError: onnxruntime is missing, or a file is missing, damaged or of another export.
    """
    runtime = require("onnxruntime")
    about = read_about(folder / ABOUT)
    if about.get("kind") != KIND:
        raise HmerError(f"{folder / ABOUT}: describes no {KIND} but {about.get('kind')!r}")
    with told_of(folder / ABOUT, _AGAIN):
        try:
            checked = About.model_validate(about)
            words = Vocabulary.from_json(json.dumps(checked.vocabulary))
        except (ValidationError, HmerError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise HmerError(
                f"{folder / ABOUT}: not written by this version ({reason}); {_AGAIN}"
            ) from None
    encoder = _session(runtime, folder / ENCODER, checked, checked.encoder)
    step = _session(runtime, folder / STEP, checked, checked.step)
    logits = step.get_outputs()[0].shape[-1:]
    if logits != [len(words)]:
        raise HmerError(f"{folder / STEP}: of another vocabulary than {ABOUT} has; {_AGAIN}")
    return OnnxRecogniser(checked, encoder, step, len(words)), words, checked.render


def _session(runtime: Any, path: Path, about: About, graph: Graph) -> Any:
    """A graph ready to run, as its JSON file describes it."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    with told_of(path, _AGAIN):
        if not path.is_file():
            raise HmerError(f"{path}: missing; {_AGAIN}")
        data = path.read_bytes()
        if about.sha256.get(path.name) != hashlib.sha256(data).hexdigest():
            raise HmerError(f"{path}: does not match its digest in {ABOUT}; {_AGAIN}")
        session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = tuple(
        tuple(x.name for x in found) for found in (session.get_inputs(), session.get_outputs())
    )
    if names != (graph.inputs, graph.outputs):
        raise HmerError(f"{path}: another graph than {ABOUT} describes; {_AGAIN}")
    return session


def _run(session: Any, graph: Graph, values: list[Tensor]) -> tuple[Tensor, ...]:
    """Call a graph; tensors share memory with the arrays."""
    feeds = {name: x.numpy() for name, x in zip(graph.inputs, values, strict=True)}
    return tuple(torch.from_numpy(x) for x in session.run(list(graph.outputs), feeds))
