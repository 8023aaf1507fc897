"""A bank of handwritten glyphs, cut from the ink of a training split.

Every symbol whose place in the caption is known becomes a sample of its class: its strokes in
symbol units from the baseline of its row (`hmer.synthesis.glyphs.cutting`), with the hand that
wrote it. The bank is a cached artefact under the licence of the ink it was cut from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from hmer.errors import HmerError
from hmer.files import atomic_file
from hmer.synthesis.glyphs.font import Glyph

FOREIGN = "isolated:"
"""What the names of collections of isolated symbols begin with, which were not cut from lines."""

RESOLUTION = 200
"""Steps per symbol unit in which points are stored."""

_FORMAT = 2
_META = "bank"
_DAMAGE = (OSError, SafetensorError, LookupError, AttributeError, ValueError, TypeError)
_ARRAYS = ("points", "stroke_points", "sample_strokes", "token_of", "writer_of")


class Cutting(NamedTuple):
    """One symbol cut out of real ink: strokes in symbol units, left at 0, baseline at y = 0."""

    token: str
    writer: str
    glyph: Glyph


@dataclass(frozen=True, eq=False)
class GlyphBank:
    """Samples of every class, packed into a few arrays (so that workers share them cheaply).

    Attributes:
        tokens: class names; `token_of` (n,) numbers them.
        writers: hands; `writer_of` (n,) numbers them.
        groups: for every hand the collection it belongs to.
        points: int16 (p, 2), 1/`RESOLUTION` of a symbol unit.
        about: where the bank was cut from, as far as the file says.
    """

    tokens: tuple[str, ...]
    writers: tuple[str, ...]
    groups: tuple[str, ...]
    points: NDArray[np.int16]
    stroke_points: NDArray[np.int32]
    sample_strokes: NDArray[np.int32]
    token_of: NDArray[np.int32]
    writer_of: NDArray[np.int32]
    about: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.token_of)

    def __contains__(self, token: object) -> bool:
        return token in self._classes

    @classmethod
    def pack(cls, cuttings: Sequence[Cutting], groups: Mapping[str, str]) -> GlyphBank:
        """A bank of these samples; `groups` names the collection of every writer.

        Raises:
            HmerError: there is no sample.
        """
        if not cuttings:
            raise HmerError(
                "the glyph bank is empty: the split has no ink whose symbols have places in their "
                "captions; ingest a source with segmented ink, or compose from the vector font"
            )
        tokens = tuple(sorted({cutting.token for cutting in cuttings}))
        writers = tuple(sorted({cutting.writer for cutting in cuttings}))
        number = {token: i for i, token in enumerate(tokens)}
        hand = {writer: i for i, writer in enumerate(writers)}
        strokes = [stroke for cutting in cuttings for stroke in cutting.glyph]
        scaled = np.rint(np.concatenate(strokes) * RESOLUTION)
        limits = np.iinfo(np.int16)
        return cls(
            tokens,
            writers,
            tuple(groups.get(writer, "") for writer in writers),
            np.clip(scaled, limits.min, limits.max).astype(np.int16),
            np.array([len(stroke) for stroke in strokes], np.int32),
            np.array([len(cutting.glyph) for cutting in cuttings], np.int32),
            np.array([number[cutting.token] for cutting in cuttings], np.int32),
            np.array([hand[cutting.writer] for cutting in cuttings], np.int32),
        )

    def glyph(self, sample: int) -> Glyph:
        """The strokes of sample number `sample`."""
        begin, end = self._first_stroke[sample : sample + 2].tolist()
        cuts = self._first_point[begin : end + 1]
        points = self.points[cuts[0] : cuts[-1]].astype(np.float64) / RESOLUTION
        if len(cuts) == 2:
            return (points,)
        return tuple(np.split(points, (cuts[1:-1] - cuts[0]).tolist()))

    def sample(
        self,
        token: str,
        rng: np.random.Generator,
        writer: str | None = None,
        loyalty: float = 1.0,
    ) -> Glyph:
        """A sample of the class: by `writer` if it has one, else from its collection, else any.

        `loyalty` is the probability of looking for the writer's own sample first.

        Raises:
            KeyError: the bank has no sample of the token.
        """
        samples, by_writer, by_group = self._classes[token]
        if writer is not None and rng.random() < loyalty:
            group = by_group.get(self.collections.get(writer, ""), samples)
            samples = by_writer.get(writer, group)
        return self.glyph(int(samples[int(rng.random() * len(samples))]))

    def cuttings(self) -> Iterator[Cutting]:
        """All samples."""
        for sample, (token, writer) in enumerate(zip(self.token_of, self.writer_of, strict=True)):
            yield Cutting(self.tokens[token], self.writers[writer], self.glyph(sample))

    def count(self) -> dict[str, int]:
        """Samples per class."""
        counts = np.bincount(self.token_of, minlength=len(self.tokens)).tolist()
        return dict(zip(self.tokens, counts, strict=True))

    def hands(self, weights: NDArray[np.float64], foreign: float) -> NDArray[np.float64]:
        """Probabilities of following each hand, from their weights (writers,).

        Hands of isolated symbols get `foreign` together, where there are both kinds.
        """
        alone = np.array([group.startswith(FOREIGN) for group in self.groups])
        chances = weights / weights.sum()
        if alone.any() and not alone.all():
            for kind, share in ((alone, foreign), (~alone, 1.0 - foreign)):
                chances[kind] *= share / chances[kind].sum()
        return np.asarray(chances)

    # --- storage ---

    def save(self, path: Path) -> None:
        """Write the bank as one file. Raises HmerError: it cannot be written."""
        meta = {
            "format": _FORMAT,
            "tokens": self.tokens,
            "writers": self.writers,
            "groups": self.groups,
            "about": dict(self.about),
            "digest": self._digest(),
        }
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        try:
            with atomic_file(path) as partial:
                save_file(arrays, partial, metadata={_META: json.dumps(meta)})
        except (OSError, SafetensorError) as error:
            raise HmerError(f"{path}: the glyph bank cannot be written ({error})") from error

    @classmethod
    def load(cls, path: Path) -> GlyphBank:
        """Read a bank. Raises HmerError: the file is missing, or not a glyph bank."""
        if not path.is_file():
            raise HmerError(f"{path}: no such glyph bank; cut one from a training split")
        try:
            with safe_open(path, framework="numpy") as file:
                meta = json.loads((file.metadata() or {})[_META])
                arrays = {name: file.get_tensor(name) for name in _ARRAYS}
            if meta["format"] != _FORMAT:
                raise ValueError(f"format {meta['format']} instead of {_FORMAT}")
            about = {str(key): str(value) for key, value in meta["about"].items()}
            bank = cls(
                tuple(meta["tokens"]),
                tuple(meta["writers"]),
                tuple(meta["groups"]),
                **arrays,
                about=about,
            )
            if meta["digest"] != bank._digest():
                raise ValueError("its content is not what was stored")
        except _DAMAGE as error:
            raise HmerError(f"{path}: not a glyph bank ({error}); cut it again") from error
        return bank

    def _digest(self) -> str:
        """Of all samples, and of what they are called."""
        found = hashlib.blake2b(digest_size=16)
        found.update(json.dumps([self.tokens, self.writers, self.groups]).encode())
        for name in _ARRAYS:
            found.update(np.ascontiguousarray(getattr(self, name)).data)
        return found.hexdigest()

    # --- look-up tables, made on first use and not pickled with the rest ---

    def __getstate__(self) -> dict[str, object]:
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @cached_property
    def _first_stroke(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum(self.sample_strokes, dtype=np.int64)])

    @cached_property
    def _first_point(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum(self.stroke_points, dtype=np.int64)])

    @cached_property
    def collections(self) -> dict[str, str]:
        """The collection of every hand."""
        return dict(zip(self.writers, self.groups, strict=True))

    @cached_property
    def _classes(self) -> dict[str, tuple[_Samples, dict[str, _Samples], dict[str, _Samples]]]:
        """Numbers of the samples of each class: all, by hand, and by collection."""
        found = {}
        for number, token in enumerate(self.tokens):
            samples = np.flatnonzero(self.token_of == number)
            hands = self.writer_of[samples].tolist()
            found[token] = (
                samples,
                _split(samples, [self.writers[hand] for hand in hands]),
                _split(samples, [self.groups[hand] for hand in hands]),
            )
        return found


_Samples = NDArray[np.int64]


def _split(samples: _Samples, keys: list[str]) -> dict[str, _Samples]:
    found: dict[str, list[int]] = {}
    for sample, key in zip(samples.tolist(), keys, strict=True):
        found.setdefault(key, []).append(sample)
    return {key: np.array(group) for key, group in found.items()}
