"""Interface of the generators of synthetic expressions, numbers for them, and what is held out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hmer.errors import HmerError
from hmer.ink.strokes import Ink


@dataclass(frozen=True, slots=True)
class Written:
    """An expression made by a generator.

    Attributes:
        ink: normalised (symbol units, left top at (0, 0)), with its symbols; each symbol's
            `place` is the index of its token in `tokens`.
        tokens: the caption, spelled as `hmer.latex.tree` spells it.
        kind: the generator ("decompose", "recombine", "compose").
        base: number, in the split, of the expression it was made from; None if there is no one.
        hand: the real hand whose glyphs were followed, "" if no single one was.
    """

    ink: Ink
    tokens: list[str]
    kind: str
    base: int | None = None
    hand: str = ""


class Synthesiser(Protocol):
    """A generator: built once, picklable, asked again and again."""

    def __call__(self, rng: np.random.Generator) -> Written | None:
        """One expression, decided by `rng` alone; None where this draw made nothing usable."""
        ...


LONGEST = 60
"""Tokens of what is written, at most."""

TEMPERING = 0.5
"""1: pieces, groups and symbols as often as they occur; 0: each different one as often."""

SHORT = 3
"""Captions of at most so many tokens are never excluded."""

NEVER_ALONE = frozenset((r"\cdot", r"\bullet", "|", r"\mid", r"\prime"))
"""Tokens that are not written as lone symbols, since alone they look like a likelier one: a dot
like a full stop, an upright stroke like the digit one or a comma."""

HELD_OUT = "held_out.json"
"""Name of the file, in a dataset folder, that lists the held-out captions by digest."""

OUTER = "outer"
"""Folder in a dataset's with what other collections lend to the generators."""

CAPTIONS = f"{OUTER}/captions.txt"
"""Captions to be composed, one a line."""

ISOLATED = f"{OUTER}/glyphs.safetensors"
"""Bank of isolated symbols."""


def read_captions(path: Path) -> list[list[str]]:
    """The captions of a file that ingest wrote, tokens apart; none where there is no file."""
    return [line.split() for line in path.read_text("utf-8").splitlines()] if path.is_file() else []


def digest(caption: Sequence[str]) -> str:
    """Names a caption without telling it."""
    return hashlib.blake2b(" ".join(caption).encode(), digest_size=8).hexdigest()


@dataclass
class Leakage:
    """Says which captions of more than `SHORT` tokens may be written, and counts others."""

    held: set[str] = field(default_factory=set)
    """Digests of the captions that may not."""
    excluded: int = 0

    @classmethod
    def of(cls, captions: Iterable[Sequence[str]]) -> Leakage:
        """Keep these captions (of validation and test sets) from being written."""
        return cls({digest(caption) for caption in captions if len(caption) > SHORT})

    @classmethod
    def read(cls, path: Path) -> Leakage:
        """From what `write` wrote. Raises HmerError: the file is missing or damaged."""
        try:
            return cls(set(map(str, json.loads(path.read_text(encoding="utf-8"))["captions"])))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HmerError(
                f"{path}: does not say which captions are held out ({error}); run ingest again"
            ) from None

    def write(self, path: Path) -> None:
        """Digests of the captions, so that a training can keep clear of them unread."""
        about = {"short": SHORT, "captions": sorted(self.held)}
        path.write_text(json.dumps(about, indent=0) + "\n", encoding="utf-8")

    def allows(self, tokens: Sequence[str]) -> bool:
        """Whether an expression with this caption may be written; counts it if not."""
        if len(tokens) <= SHORT or digest(tokens) not in self.held:
            return True
        self.excluded += 1
        return False


PATIENCE = 200
"""Draws for one expression that may come to nothing."""

_STREAM = 5  # keeps these draws apart from all others under the same seed


def numbered(synthesiser: Synthesiser, seed: int, number: int) -> Written:
    """Expression `number`, from 0 on, of the generator under this seed, whatever else is written.

    Raises HmerError: draw after draw comes to nothing.
    """
    rng = np.random.default_rng([seed, _STREAM, number])
    for _ in range(PATIENCE):
        if written := synthesiser(rng):
            return written
    raise HmerError(
        f"expression {number}: {PATIENCE} draws came to nothing; the training split is too "
        "small for this generator, or nearly all it could write is held out"
    )


def running(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Up to where each of the weights reaches on [0, 1], side by side in their proportions."""
    return np.cumsum(weights / weights.sum())


def draw(below: NDArray[np.float64], rng: np.random.Generator) -> int:
    """A number, in proportion to the weights of which `running` made `below`."""
    return min(int(np.searchsorted(below, rng.random(), side="right")), len(below) - 1)
