"""Scoring of given sequences, each common beginning only once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hmer.decoding.step import Numbers, Step, TreeStep


def score_sequences(step: Step, sequences: Sequence[Sequence[Sequence[int]]]) -> list[list[float]]:
    """Log-probability of sequences with start and stop: of every token after the first, in context.

    The hypotheses of one input differ in a few tokens. Their tree of common beginnings has far
    fewer nodes than they have tokens, and each node is computed once: at every depth, the rows
    of the step are the nodes there, or the nodes of several depths where the step takes trees.
    """
    trees = [_Tree(row) for row in sequences]
    totals = [[0.0] * len(row) for row in sequences]
    rows = [i for i, tree in enumerate(trees) if tree.levels]
    if len(rows) < len(trees) and rows:
        step = step.keep(np.array(rows))
    past: Any = None
    depth, origins = 0, dict[int, list[int]]()
    while going := [row for row in rows if depth < len(trees[row].levels)]:
        if depth:
            kept = np.array([rows.index(row) for row in going])
            if len(going) < len(rows):
                step = step.keep(kept)
            past = step.reorder(past, kept, _padded([origins[row] for row in going]))
        rows = going
        count = _levels_at_once(step, [trees[row] for row in rows], depth)
        parts = [_Part.of(trees[row].levels[depth : depth + count]) for row in rows]
        tokens = _padded([part.tokens for part in parts])
        if isinstance(step, TreeStep):
            said, past = step.grow(tokens, _padded([p.parents for p in parts], -1), past)
        else:
            said, past = step(tokens, past)
        where = [(i, *asked) for i, part in enumerate(parts) for asked in part.asked]
        index = np.array(where)
        values = said[index[:, 0], index[:, 1], index[:, 2]].tolist()
        for (i, _, _, sequence), value in zip(where, values, strict=True):
            totals[rows[i]][sequence] += value
        depth += count
        for row, part in zip(rows, parts, strict=True):
            if depth < len(trees[row].levels):
                origins[row] = [part.last + parent for _, parent in trees[row].levels[depth].nodes]
    return totals


def _levels_at_once(step: Step, trees: Sequence[_Tree], depth: int) -> int:
    """How many levels from `depth` on are computed in one step."""
    count = 1
    if isinstance(step, TreeStep):
        sizes = [sum(len(x.nodes) for x in tree.levels[depth : depth + 1]) for tree in trees]
        deepest = max(len(tree.levels) for tree in trees)
        while depth + count < deepest:
            sizes = [
                size + sum(len(x.nodes) for x in tree.levels[depth + count : depth + count + 1])
                for size, tree in zip(sizes, trees, strict=True)
            ]
            if max(sizes) > step.rows:
                break
            count += 1
    return count


class _Part(NamedTuple):
    """Some levels of a tree, one after the other."""

    tokens: list[int]
    parents: list[int]
    """Number of the node that each follows; -1 on the first level."""
    asked: list[tuple[int, int, int]]
    """See `_Level`."""
    last: int
    """Number of the first node of the last level."""

    @classmethod
    def of(cls, levels: Sequence[_Level]) -> _Part:
        part, before = cls([], [], [], 0), -1
        for level in levels:
            begin = len(part.tokens)
            part.tokens.extend(token for token, _ in level.nodes)
            part.parents.extend(-1 if before < 0 else before + up for _, up in level.nodes)
            part.asked.extend((begin + node, token, seq) for node, token, seq in level.asked)
            before = begin
        return part._replace(last=before)


class _Level:
    """The nodes of a tree at one depth and what is asked of them."""

    def __init__(self) -> None:
        self.nodes: list[tuple[int, int]] = []
        """Token, and number of the parent in the level above."""
        self.asked: list[tuple[int, int, int]] = []
        """Number of the node, next token, and number of the sequence in which it is next."""


class _Tree:
    """The common beginnings of sequences."""

    def __init__(self, sequences: Sequence[Sequence[int]]) -> None:
        self.levels: list[_Level] = []
        parents = [0] * len(sequences)
        for depth in range(max(map(len, sequences), default=1) - 1):
            level, numbers = _Level(), dict[tuple[int, int], int]()
            for sequence, tokens in enumerate(sequences):
                if depth + 1 < len(tokens):
                    node = (tokens[depth], parents[sequence])
                    number = numbers.setdefault(node, len(numbers))
                    parents[sequence] = number
                    level.asked.append((number, tokens[depth + 1], sequence))
            level.nodes = list(numbers)
            self.levels.append(level)


def _padded(rows: Sequence[Sequence[int]], filler: int = 0) -> Numbers:
    """Rows of one length, filled up."""
    width = max(map(len, rows))
    return np.array([[*row, *[filler] * (width - len(row))] for row in rows], np.int64)
