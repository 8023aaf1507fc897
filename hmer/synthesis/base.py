"""Interface of the generators of synthetic expressions, and what wraps them.

Generators are numbered (each number gives the same expression, whatever else is written), mixed by
weight, and kept from writing captions that are held out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

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
    """Says which captions of more than `short` tokens may be written, and counts others."""

    short: int = SHORT
    excluded: int = 0
    _held: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, captions: Iterable[Sequence[str]], short: int = SHORT) -> Leakage:
        """Keep these captions (of validation and test sets) from being written."""
        held = {digest(caption) for caption in captions if len(caption) > short}
        return cls(short, 0, held)

    @classmethod
    def read(cls, path: Path) -> Leakage:
        """From what `write` wrote. Raises HmerError: the file is missing or damaged."""
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
            return cls(int(about["short"]), 0, set(map(str, about["captions"])))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HmerError(
                f"{path}: does not say which captions are held out ({error}); run ingest again"
            ) from None

    def write(self, path: Path) -> None:
        """Digests of the captions, so that a training can keep clear of them unread."""
        about = {"short": self.short, "captions": sorted(self._held)}
        path.write_text(json.dumps(about, indent=0) + "\n", encoding="utf-8")

    def __len__(self) -> int:
        return len(self._held)

    def allows(self, tokens: Sequence[str]) -> bool:
        """Whether an expression with this caption may be written; counts it if not."""
        if len(tokens) <= self.short or digest(tokens) not in self._held:
            return True
        self.excluded += 1
        return False


PATIENCE = 200
"""Draws for one expression that may come to nothing."""

_STREAM = 5  # keeps these draws apart from all others under the same seed


@dataclass
class Numbered:
    """A generator as a list without end; seed and number decide an expression.

    `nothing` counts draws that came to nothing.
    """

    synthesiser: Synthesiser
    seed: int
    nothing: int = 0

    def __getitem__(self, number: int) -> Written:
        """Expression `number`, from 0 on. Raises HmerError: draw after draw comes to nothing."""
        rng = np.random.default_rng([self.seed, _STREAM, number])
        for _ in range(PATIENCE):
            written = self.synthesiser(rng)
            if written is not None:
                return written
            self.nothing += 1
        raise HmerError(
            f"expression {number}: {PATIENCE} draws came to nothing; the training split is too "
            "small for this generator, or nearly all it could write is held out"
        )


class Mixture:
    """Asks one of its generators at a time, by weight; a picklable `Synthesiser`."""

    def __init__(self, parts: Sequence[tuple[float, Synthesiser]]) -> None:
        """Take generators with their weights.

        Raises:
            ValueError: there is none of positive weight.
        """
        parts = [(weight, part) for weight, part in parts if weight > 0]
        if not parts:
            raise ValueError("a mixture needs a generator of positive weight")
        self.parts = [part for _, part in parts]
        weights = np.array([weight for weight, _ in parts])
        self._below = np.cumsum(weights / weights.sum())

    def __call__(self, rng: np.random.Generator) -> Written | None:
        """What the drawn generator makes."""
        number = int(np.searchsorted(self._below, rng.random(), side="right"))
        return self.parts[min(number, len(self.parts) - 1)](rng)


class Allowed:
    """A generator whose captions are checked: those that must not be written come to nothing."""

    def __init__(self, part: Synthesiser, leakage: Leakage) -> None:
        self.part = part
        self.leakage = leakage

    def __call__(self, rng: np.random.Generator) -> Written | None:
        """What the generator makes, if it may be written."""
        written = self.part(rng)
        return written if written and self.leakage.allows(written.tokens) else None
