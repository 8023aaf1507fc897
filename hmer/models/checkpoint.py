"""Model folders: weights in safetensors, and a JSON file beside them that says what they are.

A recogniser's also holds its vocabulary and the scale at which it reads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from hmer.errors import HmerError
from hmer.models.about import About, read_about, reason_of, told_of, weights_file
from hmer.models.base import Recogniser
from hmer.models.registry import build_recogniser

Config = TypeVar("Config", bound=BaseModel)


def save_module(
    module: nn.Module, path: Path, about: Mapping[str, Any], *, half: bool = False
) -> None:
    """Write `path` (.safetensors) and, beside it, `about` with a digest of the weights (.json).

    `half`: matrices and filters in half precision; they are loaded in full again.
    """
    # Copies: tensors may share memory, which safetensors refuses.
    state = {k: v.detach().cpu().contiguous().clone() for k, v in module.state_dict().items()}
    if half:
        # Vectors (scales, means, variances) are few, and may be out of range.
        state = {
            k: v.half() if v.dim() > 1 and v.is_floating_point() else v for k, v in state.items()
        }
    # One entry: safetensors does not keep the order of several.
    save_file(state, path, {"origin": json.dumps(_origin(about), sort_keys=True)})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    text = json.dumps({**about, "sha256": digest}, indent=2, sort_keys=True, ensure_ascii=False)
    path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


def read_config(path: Path, kind: str, config: type[Config]) -> Config:
    """The configuration of the network whose weights are in `path`.

    Raises:
        HmerError: the JSON file beside it is missing or describes something else.
    """
    about = read_about(path)
    sidecar = path.with_suffix(".json")
    if about.get("kind") != kind:
        raise HmerError(f"{sidecar}: describes no {kind} but {about.get('kind')!r}; train it again")
    try:
        return config.model_validate(about.get("config"))
    except ValidationError as error:
        raise HmerError(
            f"{sidecar}: not the configuration of an {kind} of this version "
            f"({error.errors()[0]['msg']}); train it again"
        ) from None


def _origin(about: Mapping[str, Any]) -> dict[str, str]:
    """What is told apart by name: kind of network, recogniser, vocabulary."""
    words = about.get("vocabulary")
    told = {name: about[name] for name in ("kind", "name") if name in about}
    if isinstance(words, Mapping) and isinstance(words.get("tokens"), list):
        digest = hashlib.sha256(json.dumps(words["tokens"]).encode()).hexdigest()
        size = len(words["tokens"])
        told["vocabulary"] = f"{words.get('name')!r} of {size} tokens ({digest[:8]})"
    return {name: str(value) for name, value in told.items()}


def _check_origin(path: Path, about: Mapping[str, Any]) -> None:
    """Raises HmerError where the weights say they are of something else than `about` does."""
    try:
        with safe_open(path, "pt") as file:
            written = json.loads((file.metadata() or {}).get("origin", "{}"))
    except (SafetensorError, ValueError, RecursionError):
        return  # damaged: the digest will tell
    if not isinstance(written, dict):
        return
    described = _origin(about)
    for name, what in (("kind", "kind"), ("name", "recogniser"), ("vocabulary", "vocabulary")):
        if name in written and name in described and written[name] != described[name]:
            raise HmerError(
                f"{path}: weights of another {what} ({written[name]}) than "
                f"{path.with_suffix('.json').name} describes ({described[name]}); take both "
                "files from one training"
            )


def load_weights(module: nn.Module, path: Path) -> None:
    """Load weights into a module of the same shape.

    Raises:
        HmerError: the file is missing, damaged, not finite, or of another recogniser,
            vocabulary or architecture than its JSON file describes.
    """
    with told_of(path):
        if not path.is_file():
            raise HmerError(f"{path}: no weights there; train them first")
        about = read_about(path)
        _check_origin(path, about)
        digest = about.get("sha256")
        if digest != hashlib.sha256(path.read_bytes()).hexdigest():
            raise HmerError(f"{path}: does not match the digest in its JSON file; it is damaged")
        state = load_file(path)
        broken = [name for name, value in state.items() if not torch.isfinite(value).all()]
        if broken:
            raise HmerError(f"{path}: weights that are not finite numbers, e.g. {broken[0]}")
        try:
            module.load_state_dict(state)
        except RuntimeError as error:
            first = str(error).strip().splitlines()[-1].strip()
            raise HmerError(f"{path}: weights of another architecture ({first})") from None


class Saved(NamedTuple):
    """What one model folder holds."""

    name: str
    """Of the kind of recogniser: `mask-match`, `comer`, ..."""
    model: Recogniser
    """With its weights; without what only training needs, if that was left out."""
    reads: About
    """How it reads."""
    digest: str
    """SHA-256 of the weights."""


def load_recogniser(path: Path) -> Saved:
    """Load a model folder (model.safetensors with model.json) or its weights file.

    Raises:
        HmerError: it is missing, damaged, or not a recogniser.
    """
    with told_of(path):
        weights = weights_file(path)
        if not weights.is_file():
            raise HmerError(f"{weights}: no model there; train one or name another folder")
        about = read_about(weights)
        if about.get("kind") != "recogniser":
            raise HmerError(f"{weights}: is not a recogniser but: {about.get('kind')!r}")
        with told_of(weights.with_suffix(".json")):
            try:
                described = About.of(about)
                name = str(about["name"])
                model = build_recogniser(name, about["config"], described.vocabulary)
            except (KeyError, ValidationError, HmerError) as error:
                raise HmerError(
                    f"{weights.with_suffix('.json')}: does not describe a recogniser of this "
                    f"version ({reason_of(error)}); train the model again"
                ) from None
        load_weights(model, weights)
    return Saved(name, model, described, str(about["sha256"]))
