"""Optional packages, and what to install where one is missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from hmer.errors import HmerError


def require(*names: str, extra: str | None = None) -> Any:
    """Import packages that may not be installed.

    Args:
        names: of modules; they have no types.
        extra: of hmer, that brings them.

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
            package = f"hmer[{extra}]" if extra else str(error.name)
            raise HmerError(f"{error.name} is missing: pip install '{package}'") from None
    return module
