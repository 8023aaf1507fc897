"""Handwritten mathematical expression recognition: ink or an image in, LaTeX out.

The library knows nothing of the pipeline that trains it (`pipeline/`): no DVC, Prefect, MLflow
or Great Expectations is imported here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hmer.recognition import Recognition
    from hmer.recognizer import Recognizer

__version__ = "0.2.0"
__all__ = ["Recognition", "Recognizer", "__version__"]


def __getattr__(name: str) -> Any:
    """The public names, imported when they are first used."""
    if name == "Recognition":
        from hmer.recognition import Recognition

        return Recognition
    if name == "Recognizer":
        from hmer.recognizer import Recognizer

        return Recognizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
