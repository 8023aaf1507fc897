"""Initial weights of a training: fresh, of the phases before, or of another recogniser."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor, nn

from hmer.errors import HmerError
from hmer.files import content_digest
from hmer.ink.render import RenderConfig
from hmer.latex.vocabulary import Vocabulary
from hmer.models.about import Calibration
from hmer.models.base import Recogniser
from hmer.models.checkpoint import load_recogniser, load_weights, read_config
from hmer.models.common.attention import AttentionConfig, AttentionNetwork
from hmer.models.common.encoders import CompactConfig
from hmer.models.registry import ModelConfig, recogniser_entry
from hmer.training.fit import CHECKPOINT

Init = Literal["auto", "scratch", "pretrain", "attend"]


def initial(
    choice: ModelConfig, init: Init, vocabulary: Vocabulary, encoder: Path, attention: Path
) -> Recogniser:
    """The recogniser, with the weights that `init` asks for, from phase 1 and 2.

    A compact encoder and an attention network have the size of the trained ones, where the
    parameters do not say otherwise. `auto` starts from both where the recogniser has both, from
    the encoder where that alone suits it, from nothing where it has another encoder (DenseNet).

    Raises:
        HmerError: the weights are missing, or `init` asks for weights that do not fit.
    """
    settings = choice.settings
    wanted = getattr(settings, "encoder", None)
    compact = isinstance(wanted, CompactConfig)
    attends = "attention" in type(settings).model_fields
    if init == "auto":
        init = "scratch" if not compact else "attend" if attends else "pretrain"
    if init != "scratch" and not compact:
        raise HmerError(
            f"finetune.init = {init!r}: the trained encoder is a compact one, but {choice.name} "
            "has another; set model.encoder.name to compact, or finetune.init to scratch"
        )
    if init == "attend" and not attends:
        raise HmerError(
            f"finetune.init = 'attend': {choice.name} has no attention network; set it to pretrain"
        )
    parts: dict[str, BaseModel] = {}
    if compact:
        trained = read_config(encoder, "encoder", CompactConfig)
        parts["encoder"] = _sized(choice, "encoder", trained, init != "scratch", encoder)
    if attends:
        looked = read_config(attention, "attention", AttentionConfig)
        parts["attention"] = _sized(choice, "attention", looked, init == "attend", attention)
    model = recogniser_entry(choice.name).build(choice.with_parts(parts), vocabulary)
    if init != "scratch":
        load_weights(model.encoder, encoder)
    if init == "attend":
        network = model.get_submodule("attention")
        assert isinstance(network, AttentionNetwork)
        load_weights(network, attention)
    return model


def _sized(
    choice: ModelConfig, part: str, trained: BaseModel, loaded: bool, weights: Path
) -> BaseModel:
    """The trained size with what the parameters say of it on top.

    Raises:
        HmerError: they say something else, and the weights are to be loaded.
    """
    given: dict[str, Any] = choice.given.get(part, {})
    wanted = type(trained).model_validate({**trained.model_dump(), **given})
    if loaded and wanted != trained:
        other = [name for name, value in trained if getattr(wanted, name) != value]
        raise HmerError(
            f"{weights}: trained with another {other[0]} than model.{part}.{other[0]} says "
            f"({getattr(trained, other[0])!r}, not {getattr(wanted, other[0])!r}); leave that "
            "out, or set finetune.init to scratch"
        )
    return wanted


FITTED = "lone_symbol."
"""What the names of weights begin with that are fitted when a training is over."""

_AVERAGE = "average.module."


def learnt(model: Recogniser) -> dict[str, Tensor]:
    """The weights that a training changes: without what is fitted to its outcome."""
    state = model.state_dict()
    return {name: weight for name, weight in state.items() if not name.startswith(FITTED)}


class Start(NamedTuple):
    """What a training goes on from."""

    model: Recogniser
    digest: str
    """SHA-256 of the file whose weights were taken; "" for a training state that goes on."""
    state: Path | None
    """Checkpoint with weights, optimiser, average and step; None for a finished recogniser."""
    calibration: Calibration | None
    """Of the finished recogniser's confidence: far better for what comes of it than none."""


def further(
    choice: ModelConfig,
    start: Path,
    vocabulary: Vocabulary,
    render: RenderConfig,
    *,
    rescaled: bool = False,
    drop: bool = False,
) -> Start:
    """What is in the folder `start`, if it is of the kind that is to be trained.

    A finished recogniser takes the sizes that `choice` gives, if they are larger than its own: what
    it has learnt is kept (`transplant`). Parts that only training needs have fresh weights, and so
    have the rows of new tokens; tokens that the vocabulary lacks are left out if `drop`. A training
    state (`last.ckpt`) goes on as if it had never stopped; with another vocabulary it is taken for
    the recogniser of its averaged weights. Images have its scale unless `rescaled`.

    Raises:
        HmerError: it is missing, damaged, or of another kind, size, vocabulary or scale.
    """
    checkpoint = start / CHECKPOINT
    calibration: Calibration | None = None
    if checkpoint.is_file():
        about = read_state(checkpoint)
        name, config, state = about["name"], about["config"], None
        words, drawn, digest = Vocabulary.from_json(about["vocabulary"]), about["render"], ""
    else:
        try:
            found = load_recogniser(start)
        except HmerError as error:
            raise HmerError(f"finetune.start: {error}") from None
        name, config, state = found.name, found.model.config.model_dump(), learnt(found.model)
        reads, digest = found.reads, found.digest
        words, drawn = reads.vocabulary, reads.trained.model_dump()
        calibration = reads.calibration
    if name != choice.name:
        raise HmerError(
            f"finetune.start: {start} holds a {name}, but model.name is {choice.name}; "
            "set one to the other"
        )
    if words.tokens != vocabulary.tokens and state is None:
        state, digest = averaged(checkpoint), content_digest(checkpoint)
    if (lost := vocabulary.unknown(words.tokens)) and not drop:
        raise HmerError(
            f"finetune.start: {start} writes symbols that the vocabulary of the captions lacks: "
            f"{' '.join(lost)}; add them to ingest.vocabulary, or set finetune.drop_symbols to true"
        )
    for key, value in drawn.items():
        if getattr(render, key) != value and not (rescaled and key == "unit"):
            raise HmerError(
                f"finetune.start: {start} reads ink drawn with {key} {value:g}; set "
                f"base.render.{key} to that (it is {getattr(render, key):g})"
                + (", or finetune.rescaled to true" if key == "unit" else "")
            )
    entry = recogniser_entry(name)
    try:
        settings: BaseModel = entry.config.model_validate(_merged(config, choice.given))
    except ValidationError as error:
        raise HmerError(f"finetune.start: {start}: {error.errors()[0]['msg']}") from None
    model = entry.build(settings, vocabulary)
    if state is not None:
        if words.tokens != vocabulary.tokens:
            state = respelled(state, model.state_dict(), words, vocabulary)
        transplant(state, model, start)
    elif other := _other(config, settings.model_dump(mode="json")):
        raise HmerError(
            f"finetune.start: {checkpoint} is the state of a training with another {other} than "
            f"model.{other} says; leave that out, or start from its finished recogniser"
        )
    return Start(model, digest, checkpoint if state is None else None, calibration)


def respelled(
    state: Mapping[str, Tensor], fresh: Mapping[str, Tensor], old: Vocabulary, new: Vocabulary
) -> dict[str, Tensor]:
    """Weights of a recogniser of one vocabulary as those of another: rows go by their token.

    What has a row for every class (embeddings, output layers, their biases) gets the rows of the
    new vocabulary: the old ones where both have the token, those of `fresh` elsewhere.
    """
    common = [token for token in old.tokens if token in new]
    specials = [*range(len(old) - len(old.tokens))]
    numbers, places = [*specials, *new.encode(common)], [*specials, *old.encode(common)]
    found = dict(state)
    for name, before in state.items():
        target = fresh.get(name, before)
        if before.shape[:1] == (len(old),) and target.shape[:1] == (len(new),):
            rows = target.clone() if before.dim() == 1 else target.clone()[:, : before.shape[1]]
            rows[numbers] = before[places].to(rows.dtype)
            found[name] = rows
    return found


def read_state(checkpoint: Path) -> dict[str, Any]:
    """What a checkpoint says of its training: name, config, render, vocabulary.

    Raises:
        HmerError: it is damaged, or of another kind of training.
    """
    try:
        about = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)["about"]
        return {key: about[key] for key in ("name", "config", "render", "vocabulary")}
    except Exception as error:  # unpickling says anything of damaged bytes
        raise HmerError(
            f"finetune.start: {checkpoint} is no training state of this version "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'damaged'})"
        ) from None


def averaged(checkpoint: Path) -> dict[str, Tensor]:
    """The averaged weights in a training state that `read_state` has accepted."""
    found = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
    return {
        name.removeprefix(_AVERAGE): weight
        for name, weight in found.items()
        if name.startswith(_AVERAGE)
    }


def transplant(state: Mapping[str, Tensor], model: nn.Module, origin: Path) -> None:
    """Load the weights of a smaller network into a larger one of the same kind, in place.

    Weights by which new inputs would reach old outputs are 0, new blocks and pre-norm layers begin
    as the identity: but for normalisation over wider layers the function is the same (after Chen,
    Goodfellow and Shlens, 2016, Net2Net). Layers that normalise their output (CoMER's) cannot.

    Raises:
        HmerError: the network is smaller somewhere; the first such place is named.
    """
    for name, module in model.named_modules():
        identity = getattr(module, "start_as_identity", None)
        if identity is not None and not any(key.startswith(f"{name}.") for key in state):
            identity()
    target = model.state_dict()
    for name, old in state.items():
        new = target.get(name)
        if (
            new is None
            or new.dim() != old.dim()
            or any(a < b for a, b in zip(new.shape, old.shape, strict=True))
        ):
            here = "none" if new is None else "x".join(map(str, new.shape))
            raise HmerError(
                f"finetune.start: {origin} is larger than the parameters of `model` say: {name} is "
                f"{'x'.join(map(str, old.shape))}, not {here}; leave the sizes out, or give larger "
                "ones"
            )
        if old.dim() > 1:
            new[: len(old)] = 0.0
        new[tuple(slice(0, side) for side in old.shape)] = old.to(new.dtype)
    model.load_state_dict(target)


def _merged(trained: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The trained configuration with what was given in its place."""
    merged = dict(trained)
    for name, value in given.items():
        before = merged.get(name)
        nested = isinstance(value, Mapping) and isinstance(before, Mapping)
        merged[name] = _merged(before, value) if nested else value  # type: ignore[arg-type]
    return merged


FREE = ("dropout", "label_smoothing", "symbol_weight", "alignment_weight")
"""Settings that have no weights: a training may go on with others."""


def _other(trained: Mapping[str, Any], wanted: Mapping[str, Any], place: str = "") -> str:
    """The first setting with weights that differs; "" if there is none."""
    for name, value in wanted.items():
        inner, before = f"{place}.{name}" if place else name, trained.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            if found := _other(before, value, inner):
                return found
        elif name not in FREE and before != value:
            return inner
    return ""
