"""Nearest neighbours by cosine similarity: is what lies close also the same?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hmer.evaluation.images import BoolArray, FloatArray
from hmer.evaluation.retrieval.features import Vectors

Numbers = NDArray[np.int64]
_ROWS = 512  # queries compared at once, bounding memory


def unit(vectors: Vectors, middle: Vectors | None = None) -> Vectors:
    """Rows of length 1, `middle` (by default the mean of the rows) being taken away first.

    What all vectors have in common tells none of them apart, but would make all cosines 1.
    """
    centred = vectors - (vectors.mean(axis=0) if middle is None else middle)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    result: Vectors = centred / np.maximum(length, 1e-12)
    return result


def nearest(
    queries: Vectors,
    gallery: Vectors,
    barred: Callable[[slice], BoolArray] | None = None,
    count: int = 1,
) -> Numbers:
    """The `count` gallery rows most similar to each query, best first: (n, count).

    Args:
        queries: (n, channels), from `unit`.
        gallery: (m, channels), from `unit`, at least `count` rows.
        barred: given a slice of the queries, which gallery rows are no answer: (rows, m).
        count: neighbours per query.
    """
    found = []
    for start in range(0, len(queries), _ROWS):
        part = slice(start, start + _ROWS)
        similar = queries[part] @ gallery.T
        if barred is not None:
            similar[barred(part)] = -np.inf
        # Of equals the first in the gallery wins, on every machine.
        found.append(
            similar.argmax(axis=1)[:, None]
            if count == 1
            else np.argsort(-similar, axis=1, kind="stable")[:, :count]
        )
    return np.concatenate(found) if found else np.zeros((0, count), np.int64)


def ranks(queries: Vectors, gallery: Vectors) -> Numbers:
    """How many gallery rows are more similar to query i than gallery row i is: (n,)."""
    similar = queries @ gallery.T
    return np.asarray((similar > np.diag(similar)[:, None]).sum(axis=1), np.int64)


def recognisable(labels: NDArray[np.str_], groups: Numbers) -> BoolArray:
    """Which items have an item of the same label in another group: (n,)."""
    _, kind = np.unique(labels, return_inverse=True)
    pairs = np.unique(np.stack([kind, groups], axis=1), axis=0)
    several = np.bincount(pairs[:, 0]) > 1
    return np.asarray(several[kind], np.bool_)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Shares of right answers in percent."""

    overall: float
    per_class: float
    """Mean over the classes of the truth: rare symbols count as much as common ones."""


def accuracy(truth: NDArray[np.str_], answers: NDArray[np.str_]) -> Accuracy:
    """Of at least one answer."""
    right = (truth == answers).astype(np.float64)
    _, kind, counts = np.unique(truth, return_inverse=True, return_counts=True)
    by_class: FloatArray = np.bincount(kind, right) / counts
    return Accuracy(100.0 * float(right.mean()), 100.0 * float(by_class.mean()))


def majority(truth: NDArray[np.str_]) -> Accuracy:
    """What always answering the commonest label gets."""
    kinds, counts = np.unique(truth, return_counts=True)
    return accuracy(truth, np.full(len(truth), kinds[counts.argmax()]))
