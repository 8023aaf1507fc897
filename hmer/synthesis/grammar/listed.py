"""Expressions from a file of one's own, one per line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from hmer.errors import HmerError, LatexError
from hmer.latex.dialect import normalise
from hmer.latex.tree import Row, parse
from hmer.synthesis.glyphs.bank import GlyphBank
from hmer.synthesis.render_latex import WritingLimits, check_balanced, check_writable


class Sampler(Protocol):
    """Where expressions come from."""

    def sample(self, rng: np.random.Generator) -> Row:
        """One structure tree, decided by `rng` alone."""
        ...


class Listed:
    """Samples the expressions of a list, all equally often; a picklable `Sampler`."""

    def __init__(self, rows: Sequence[Row]) -> None:
        """Take structure trees.

        Raises:
            ValueError: there is none.
        """
        if not rows:
            raise ValueError("a list of expressions needs at least one")
        self.rows = tuple(rows)

    def sample(self, rng: np.random.Generator) -> Row:
        """One of them."""
        return self.rows[int(rng.integers(len(self.rows)))]

    @classmethod
    def read(
        cls, path: Path, bank: GlyphBank | None = None, limits: WritingLimits | None = None
    ) -> Listed:
        """Read LaTeX, one expression per line; empty lines and lines that begin with % are skipped.

        Raises:
            HmerError: the file cannot be read, or holds no expression.
            LatexError: a line cannot be read or written; file, line and reason are named.
        """
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise HmerError(f"{path}: cannot be read as UTF-8 text ({error})") from error
        rows = []
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.lstrip().startswith("%"):
                continue
            try:
                check_balanced(line)
                row = parse(normalise(line))
                check_writable(row, bank, limits or WritingLimits())
            except LatexError as error:
                raise LatexError(f"{path}, line {number}: {error}") from error
            rows.append(row)
        if not rows:
            raise HmerError(f"{path}: holds no expression; write one per line")
        return cls(rows)


class Partly:
    """Samples one source of expressions at a fixed rate, and else another."""

    def __init__(self, first: Sampler, share: float, second: Sampler) -> None:
        self.first = first
        self.share = share
        self.second = second

    def sample(self, rng: np.random.Generator) -> Row:
        """One structure tree."""
        return (self.first if rng.random() < self.share else self.second).sample(rng)
