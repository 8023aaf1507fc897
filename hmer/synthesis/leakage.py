"""Captions that must not be written: those on which the recogniser is validated or tested.

New sequences are made from training ink only, but a piece of a training expression can be, token
for token, an expression of the test. Short ones (`x`, `a + b`) cannot be kept out: they are
everywhere in training already.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hmer.errors import HmerError

SHORT = 3
"""Captions of at most so many tokens are never excluded."""

HELD_OUT = "held_out.json"
"""Name of the file, in a dataset folder, that lists the held-out captions by digest."""


def digest(caption: Sequence[str]) -> str:
    """Names a caption without telling it."""
    return hashlib.blake2b(" ".join(caption).encode(), digest_size=8).hexdigest()


@dataclass
class Leakage:
    """Tells which captions may be written, and counts those that may not.

    Attributes:
        short: longest caption, in tokens, that is never excluded.
        excluded: how many were refused.
    """

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
        """From what `write` wrote.

        Raises:
            HmerError: the file is missing or damaged.
        """
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
