"""Encoders by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from hmer.models.encoders.base import Encoder
from hmer.models.encoders.compact import CompactConfig, CompactEncoder
from hmer.models.encoders.densenet import DenseNet, DenseNetConfig


def _name(config: Any) -> Any:
    """The encoder that a configuration is for; without a name, the compact one."""
    if isinstance(config, Mapping):
        return config.get("name", "compact")
    return getattr(config, "name", None)


EncoderConfig = Annotated[
    Annotated[CompactConfig, Tag("compact")] | Annotated[DenseNetConfig, Tag("densenet")],
    Discriminator(
        _name,
        custom_error_type="encoder",
        custom_error_message="there is no such encoder; choose name: compact or name: densenet",
    ),
]
"""Configuration of any encoder, told apart by `name`."""


def build_encoder(config: CompactConfig | DenseNetConfig) -> Encoder:
    """An encoder with fresh weights."""
    if isinstance(config, DenseNetConfig):
        return DenseNet(config)
    return CompactEncoder(config)
