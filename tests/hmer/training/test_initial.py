"""What a recogniser's training starts from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from hmer.errors import HmerError
from hmer.latex.vocabulary import vocabulary
from hmer.models.checkpoint import save_module
from hmer.models.common.attention import AttentionConfig, AttentionNetwork
from hmer.models.common.comer import CoMER
from hmer.models.common.densenet import DenseNet
from hmer.models.mask_match import MaskMatch
from hmer.models.registry import ModelConfig
from hmer.training.initial import initial

WORDS = vocabulary("wap")
DECODER = {"layers": 1, "width": 16, "heads": 2, "feedforward": 32}
MASK_MATCH = ModelConfig.model_validate({"decoder": DECODER})


def comer(**encoder: Any) -> ModelConfig:
    return ModelConfig.model_validate({"name": "comer", "encoder": encoder, "decoder": DECODER})


def trained(finished: Path) -> tuple[Path, Path]:
    return (
        finished / "pretrain" / "encoder.safetensors",
        finished / "attend" / "attention.safetensors",
    )


def loaded(part: nn.Module, file: Path) -> bool:
    stored, state = load_file(file), part.state_dict()
    assert stored.keys() == state.keys()
    return all(torch.equal(state[name], value) for name, value in stored.items())


@pytest.mark.parametrize("init", ["scratch", "pretrain", "attend", "auto"])
def test_loads_what_it_says(finished: Path, init: Any) -> None:
    encoder, attention = trained(finished)
    model = initial(MASK_MATCH, init, WORDS, encoder, attention)
    assert isinstance(model, MaskMatch)
    assert loaded(model.encoder, encoder) == (init != "scratch")
    assert loaded(model.attention, attention) == (init in ("attend", "auto"))
    assert model.config.encoder.width == 16  # type: ignore[union-attr]


@pytest.mark.parametrize("init", ["scratch", "pretrain", "auto"])
def test_any_recogniser_may_have_the_trained_encoder(finished: Path, init: Any) -> None:
    encoder, attention = trained(finished)
    model = initial(comer(name="compact"), init, WORDS, encoder, attention)
    assert isinstance(model, CoMER)
    assert loaded(model.encoder, encoder) == (init != "scratch")
    assert (model.stride, model.encoder.channels) == (8, 64)


def test_another_encoder_starts_from_nothing(finished: Path, tmp_path: Path) -> None:
    small = comer(name="densenet", growth=4, layers=1)
    for init in ("scratch", "auto"):
        model = initial(small, init, WORDS, tmp_path / "none", tmp_path / "none")
        assert isinstance(model.encoder, DenseNet)
    with pytest.raises(HmerError, match=r"'pretrain'.*comer has another.*compact.*scratch"):
        initial(small, "pretrain", WORDS, *trained(finished))
    with pytest.raises(HmerError, match="comer has no attention network"):
        initial(comer(name="compact"), "attend", WORDS, *trained(finished))


def test_another_size_starts_from_nothing(finished: Path) -> None:
    wide = comer(name="compact", width=24)
    assert initial(wide, "scratch", WORDS, *trained(finished)).encoder.channels == 96
    with pytest.raises(HmerError, match=r"encoder\.safetensors.*model\.encoder\.width.*16, not 24"):
        initial(wide, "auto", WORDS, *trained(finished))
    assert isinstance(
        initial(comer(name="compact", width=16), "auto", WORDS, *trained(finished)), CoMER
    )
    other = ModelConfig.model_validate({"attention": {"heads": 4}})
    with pytest.raises(HmerError, match=r"attention\.safetensors.*model\.attention\.heads"):
        initial(other, "attend", WORDS, *trained(finished))
    made = initial(other, "pretrain", WORDS, *trained(finished))
    assert isinstance(made, MaskMatch) and made.attention.heads == 4


def test_weights_that_do_not_fit(finished: Path, tmp_path: Path) -> None:
    encoder, attention = trained(finished)

    def build(encoder: Path, attention: Path) -> None:
        initial(MASK_MATCH, "attend", WORDS, encoder, attention)

    with pytest.raises(HmerError, match="missing"):
        build(tmp_path / "encoder.safetensors", attention)
    with pytest.raises(HmerError, match=r"attention\.json.*no encoder"):
        build(attention, attention)
    narrow = AttentionConfig(heads=2, hidden=8)
    about = {"kind": "attention", "config": narrow.model_dump(mode="json")}
    save_module(AttentionNetwork(32, narrow), tmp_path / "narrow.safetensors", about)
    with pytest.raises(HmerError, match=r"narrow\.safetensors.*architecture"):
        build(encoder, tmp_path / "narrow.safetensors")
    (tmp_path / "old.json").write_text('{"kind": "encoder", "config": {"depth": 3}}')
    with pytest.raises(HmerError, match=r"old\.json.*not the configuration"):
        build(tmp_path / "old.safetensors", attention)
    shutil.copy(encoder.with_suffix(".json"), tmp_path / "gone.json")
    with pytest.raises(HmerError, match=r"gone\.safetensors.*no weights"):
        build(tmp_path / "gone.safetensors", attention)
