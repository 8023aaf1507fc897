"""What a recogniser's training starts from: fresh weights, or those of the phases before."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from hmer.errors import HmerError
from hmer.latex.vocabulary import Vocabulary
from hmer.models.base import Recogniser
from hmer.models.checkpoint import load_weights, read_config
from hmer.models.common.attention import AttentionConfig, AttentionNetwork
from hmer.models.common.encoders import CompactConfig
from hmer.models.registry import ModelConfig, recogniser_entry

Init = Literal["auto", "scratch", "pretrain", "attend"]


def initial(
    choice: ModelConfig, init: Init, vocabulary: Vocabulary, encoder: Path, attention: Path
) -> Recogniser:
    """The recogniser, with the weights that `init` asks for.

    A compact encoder and an attention network have the size of the trained ones, where the
    parameters do not say otherwise. `auto` starts from both where the recogniser has both, from
    the encoder where that alone suits it, from nothing where it has another encoder (DenseNet).

    Args:
        choice: which recogniser.
        init: what to start from.
        vocabulary: of the captions.
        encoder: weights from phase 1.
        attention: weights from phase 2.

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
