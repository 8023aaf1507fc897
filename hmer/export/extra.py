"""The optional packages that exporting needs, and reading with what was exported."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from hmer.errors import HmerError


def require(*names: str) -> Any:
    """Import packages of the extra `export`.

    Args:
        names: of modules; they have no types.

    Returns:
        The last of them.

    Raises:
        HmerError: one is not installed.
    """
    module = None
    for name in names:
        try:
            module = import_module(name)
        except ModuleNotFoundError as error:
            raise HmerError(
                f"exported recognisers need {error.name}: pip install 'hmer[export]'"
            ) from None
    return module
