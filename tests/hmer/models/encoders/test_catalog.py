"""Encoders by name."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from hmer.models.encoders.catalog import EncoderConfig, build_encoder
from hmer.models.encoders.compact import CompactConfig, CompactEncoder
from hmer.models.encoders.densenet import DenseNet, DenseNetConfig


class Owner(BaseModel):
    encoder: EncoderConfig = DenseNetConfig()


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"name": "densenet", "layers": 1}, DenseNetConfig(layers=1)),
        ({"name": "compact", "width": 8}, CompactConfig(width=8)),
        ({"width": 8}, CompactConfig(width=8)),  # as models before encoders had names
        (CompactConfig(width=12), CompactConfig(width=12)),
    ],
)
def test_told_apart_by_name(given: Any, wanted: CompactConfig | DenseNetConfig) -> None:
    found = Owner.model_validate({"encoder": given}).encoder
    assert found == wanted
    assert Owner.model_validate_json(Owner(encoder=found).model_dump_json()).encoder == wanted
    kind = CompactEncoder if isinstance(wanted, CompactConfig) else DenseNet
    assert isinstance(build_encoder(found), kind)


def test_refuses() -> None:
    with pytest.raises(ValidationError, match="choose name: compact or name: densenet"):
        Owner.model_validate({"encoder": {"name": "resnet"}})
    with pytest.raises(ValidationError, match="growth"):
        Owner.model_validate({"encoder": {"name": "compact", "growth": 4}})
