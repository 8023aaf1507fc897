"""A split of the data set in memory: compact columns that training can draw from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hmer.errors import HmerError
from hmer.ink.codec import unpack
from hmer.ink.images import decode_png
from hmer.ink.strokes import Ink


@dataclass(frozen=True)
class Expressions:
    """Columns of one split; see `hmer.data.schema` for what they mean."""

    ids: list[str]
    tokens: list[list[str]]
    images: list[bytes]
    inks: list[bytes | None]
    sizes: NDArray[np.int64]
    """(n, 2): heights and widths of the images."""

    def __len__(self) -> int:
        return len(self.ids)

    def ink(self, index: int) -> Ink | None:
        """Normalised ink, where the source had strokes."""
        packed = self.inks[index]
        return None if packed is None else unpack(packed)

    def image(self, index: int) -> NDArray[np.uint8]:
        """The stored rendering, (H, W), ink 255 on 0."""
        return decode_png(self.images[index])

    def written(self, index: int) -> Ink | NDArray[np.uint8]:
        """The ink; where the source had none, the image."""
        ink = self.ink(index)
        return self.image(index) if ink is None else ink

    def head(self, count: int | None) -> Expressions:
        """The first `count` expressions; all for None."""
        return self.take(range(len(self))[:count])

    def share(self, share: float, seed: int) -> Expressions:
        """A random share of the expressions, at least one, in their order.

        Which ones depends on their ids and the seed alone, and a smaller share is part of a
        larger one: what a label adds can be told from which labels they are.
        """
        if not 0 < share <= 1:
            raise ValueError(f"expected a share in (0, 1], not {share}")

        def order(index: int) -> bytes:
            """At random, the same on every machine."""
            return blake2b(f"{seed}/{self.ids[index]}".encode(), digest_size=8).digest()

        drawn = sorted(range(len(self)), key=order)
        return self.take(sorted(drawn[: max(1, round(share * len(self)))]))

    def take(self, rows: Sequence[int]) -> Expressions:
        """The expressions with these indices, in that order."""
        return Expressions(
            [self.ids[i] for i in rows],
            [self.tokens[i] for i in rows],
            [self.images[i] for i in rows],
            [self.inks[i] for i in rows],
            self.sizes[list(rows)],
        )


def load_expressions(path: Path) -> Expressions:
    """Read a split. Raises HmerError: the file is missing, damaged, or holds no expression."""
    if not path.is_file():
        raise HmerError(f"{path}: no such data set split; ingest the data first")
    columns = ["id", "tokens", "image", "ink", "height", "width"]
    try:
        table = pq.read_table(path, columns=columns)
        data = {name: table.column(name).to_pylist() for name in columns}
    except (OSError, KeyError, pa.ArrowException) as error:
        raise HmerError(f"{path}: not a data set split ({error}); run ingest again") from error
    if not table.num_rows:
        raise HmerError(f"{path}: holds no expression; look at quarantine.parquet beside it")
    sizes = np.array([data["height"], data["width"]], dtype=np.int64).T
    return Expressions(data["id"], data["tokens"], data["image"], data["ink"], sizes)
