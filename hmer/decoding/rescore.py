"""Scoring of given sequences, each common beginning only once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hmer.decoding.step import Numbers, Step, log_softmax


def score_sequences(step: Step, sequences: Sequence[Sequence[Sequence[int]]]) -> list[list[float]]:
    """Log-probability of given sequences: of every token after the first, given those before it.

    The hypotheses of one input differ in a few tokens. Their tree of common beginnings has far
    fewer nodes than they have tokens, and each node is computed once: at every depth, the rows
    of the step are the nodes there. Inputs leave the batch with their longest sequence.

    Args:
        step: the model.
        sequences: for each input, any number of sequences with their start and stop token.
    """
    trees = [_Tree(row) for row in sequences]
    totals = [[0.0] * len(row) for row in sequences]
    rows = [i for i, tree in enumerate(trees) if tree.levels]
    if len(rows) < len(trees) and rows:
        step = step.keep(np.array(rows))
    past: Any = None
    for depth in range(max((len(tree.levels) for tree in trees), default=0)):
        going = [row for row in rows if depth < len(trees[row].levels)]
        levels = [trees[row].levels[depth] for row in going]
        tokens, origin = (
            _padded([[node[part] for node in level.nodes] for level in levels]) for part in (0, 1)
        )
        if depth:
            kept = np.array([rows.index(row) for row in going])
            if len(going) < len(rows):
                step = step.keep(kept)
            past = step.reorder(past, kept, origin)
        rows = going
        logits, past = step(tokens, past)
        said = log_softmax(logits)
        where = [(i, *asked) for i, level in enumerate(levels) for asked in level.asked]
        index = np.array(where)
        values = said[index[:, 0], index[:, 1], index[:, 2]].tolist()
        for (i, _, _, sequence), value in zip(where, values, strict=True):
            totals[rows[i]][sequence] += value
    return totals


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


def _padded(rows: Sequence[Sequence[int]]) -> Numbers:
    """Rows of one length, filled up with 0."""
    width = max(map(len, rows))
    return np.array([[*row, *[0] * (width - len(row))] for row in rows], np.int64)
