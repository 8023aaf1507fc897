"""Where the errors are: by caption length, by nesting depth, by token."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rapidfuzz.distance import Levenshtein

from hmer.evaluation.prediction import Prediction
from hmer.latex.tree import nesting_depth

LENGTH_BUCKETS = ((1, 5), (6, 10), (11, 20), (21, 30), (31, 40))
"""Caption lengths in tokens, both ends included; longer ones share one open bucket."""

DEEPEST = 4
"""Nesting depths from here on share one bucket."""

OFTEN = 10
"""Captions that occur so many times share one bucket."""

ConfusionKind = Literal["substitution", "deletion", "insertion"]


@dataclass(frozen=True, slots=True)
class Bucket:
    """Scores of the expressions that fall in one bucket; rates in percent."""

    name: str
    n: int
    exprate: float
    le1: float
    le2: float
    le3: float
    ter: float


@dataclass(frozen=True, slots=True)
class Confusion:
    """A token edit from truth to prediction and how often it occurs; "" where a side has none."""

    kind: ConfusionKind
    truth: str
    predicted: str
    count: int


def length_bucket(length: int) -> str:
    """The name of the bucket that a caption of `length` tokens falls in."""
    for low, high in LENGTH_BUCKETS:
        if length <= high:
            return f"{low}-{high}"
    return f"{LENGTH_BUCKETS[-1][1] + 1}+"


def depth_bucket(depth: int) -> str:
    """The name of the bucket that nesting depth `depth` falls in."""
    return str(depth) if depth < DEEPEST else f"{DEEPEST}+"


def occurrence_bucket(times: int) -> str:
    """The name of the bucket of captions that occur so many times."""
    if times < 2:
        return ("new", "once")[times]
    return f"2-{OFTEN - 1}" if times < OFTEN else f"{OFTEN}+"


def by_length(predictions: Iterable[Prediction]) -> list[Bucket]:
    """Scores by the length of the truth, short first; empty buckets are left out."""
    return _by(predictions, lambda truth: (len(truth), length_bucket(len(truth))))


def by_depth(predictions: Iterable[Prediction]) -> list[Bucket]:
    """Scores by the nesting depth of the truth, plain first; empty buckets are left out."""
    return _by(predictions, lambda t: (depth := nesting_depth(t), depth_bucket(depth)))


def by_occurrence(
    predictions: Iterable[Prediction], known: Mapping[tuple[str, ...], int]
) -> list[Bucket]:
    """Scores by how often `known` has the truth, new ones first; empty buckets are left out."""
    return _by(predictions, lambda t: (times := known.get(tuple(t), 0), occurrence_bucket(times)))


def _by(
    predictions: Iterable[Prediction], place: Callable[[Sequence[str]], tuple[int, str]]
) -> list[Bucket]:
    groups: dict[str, list[Prediction]] = defaultdict(list)
    order: dict[str, int] = {}
    for prediction in predictions:
        rank, name = place(prediction.truth)
        groups[name].append(prediction)
        order[name] = min(rank, order.get(name, rank))
    return [_bucket(name, groups[name]) for name in sorted(groups, key=order.__getitem__)]


def _bucket(name: str, members: Sequence[Prediction]) -> Bucket:
    n = len(members)
    exprate, le1, le2, le3 = (
        100.0 * sum(member.within(edits) for member in members) / n for edits in range(4)
    )
    edits = sum(member.distance for member in members)
    length = sum(len(member.truth) for member in members)
    return Bucket(name, n, exprate, le1, le2, le3, ter=100.0 * edits / length)


def confusions(predictions: Iterable[Prediction]) -> list[Confusion]:
    """Every token edit with its count, commonest first.

    Expressions that could not be read are left out: nothing was confused with anything.
    """
    counts: Counter[tuple[ConfusionKind, str, str]] = Counter()
    for prediction in predictions:
        if prediction.tokens is None:
            continue
        truth, read = prediction.truth, prediction.tokens
        for edit in Levenshtein.editops(truth, read):
            if edit.tag == "replace":
                counts["substitution", truth[edit.src_pos], read[edit.dest_pos]] += 1
            elif edit.tag == "delete":
                counts["deletion", truth[edit.src_pos], ""] += 1
            else:
                counts["insertion", "", read[edit.dest_pos]] += 1
    table = [Confusion(*edit, count) for edit, count in counts.items()]
    return sorted(table, key=lambda row: (-row.count, row.kind, row.truth, row.predicted))
