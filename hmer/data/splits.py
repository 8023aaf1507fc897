"""Cutting a validation set from training data, by writer.

The side a writer is on depends on nothing but the writer's name: data added later, a different
order or another machine never moves anyone, and no writer is ever on both sides.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

TRAIN = "train"
VALIDATION = "val"


def position(writer: str) -> float:
    """A writer's place in [0, 1), the same for ever: uniform over names."""
    digest = hashlib.sha256(writer.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def split_of(writer: str, share: float) -> str:
    """`VALIDATION` for about `share` of all writers, else `TRAIN`.

    A larger share keeps everyone in validation who was there under a smaller one.

    Raises:
        ValueError: the share is not in [0, 1].
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a share is in [0, 1], not {share}")
    return VALIDATION if position(writer) < share else TRAIN


def held_out(dataset: Path) -> list[str]:
    """The splits of a data set that are scored: validation, development sets (dev*), test sets."""
    kinds = ("dev", "test")
    files = (path for kind in kinds for path in sorted(dataset.glob(f"{kind}*.parquet")))
    return [VALIDATION, *(path.stem for path in files)]
