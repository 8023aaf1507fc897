"""The section `model` of the parameters."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from hmer.models.choice import ModelConfig
from hmer.models.comer import CoMERConfig
from hmer.models.encoders.compact import CompactConfig
from hmer.models.encoders.densenet import DenseNetConfig
from hmer.models.mask_match import MaskMatchConfig


def test_a_name_alone_is_the_published_system() -> None:
    assert ModelConfig().settings == MaskMatchConfig()
    comer = ModelConfig.model_validate({"name": "comer"}).settings
    assert comer == CoMERConfig()
    assert CoMERConfig().encoder == DenseNetConfig()


def test_parts_are_set_one_by_one() -> None:
    chosen = ModelConfig.model_validate(
        {"name": "comer", "encoder": {"name": "compact", "width": 8}, "decoder": {"layers": 2}}
    )
    settings = chosen.settings
    assert isinstance(settings, CoMERConfig)
    assert settings.encoder == CompactConfig(width=8)
    assert (settings.decoder.layers, settings.decoder.width) == (2, 256)
    other = chosen.with_parts({"encoder": CompactConfig(width=12)})
    assert isinstance(other, CoMERConfig)
    assert other.encoder == CompactConfig(width=12) and other.decoder == settings.decoder
    assert ModelConfig.model_validate(chosen.model_dump()) == chosen


@pytest.mark.parametrize(
    ("given", "place", "message"),
    [
        ({"name": "comet"}, ("name",), "choose one of mask-match, .*comer"),
        ({"dekoder": {}}, ("dekoder",), "mask-match has no such parameter, but: encoder"),
        ({"name": "comer", "symbol_weight": 1}, ("symbol_weight",), "comer has no such"),
        ({"name": "comer", "decoder": {"layers": 0}}, ("decoder", "layers"), "greater than"),
        ({"name": "bttr", "encoder": {"name": "vit"}}, ("encoder",), "compact or name: densenet"),
    ],
)
def test_mistakes_are_told_with_their_place(
    given: dict[str, Any], place: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        ModelConfig.model_validate(given)
    assert [error["loc"] for error in caught.value.errors()] == [place]
