"""Recognisers that were saved before their kind learnt something new."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def as_it_was(name: str, config: Any) -> Any:
    """A saved configuration, completed by what was always so when it was written.

    A configuration is saved in full, so that what it does not name did not exist; the defaults of
    today would build another model.

    Args:
        name: of the recogniser.
        config: as its file says; what is no configuration comes back as it is.
    """
    decoder = config.get("decoder") if isinstance(config, Mapping) else None
    if name == "mask-match" and isinstance(decoder, Mapping):
        return {**config, "decoder": {"coverage": 0, **decoder}}
    return config
