"""Reading expressions that have lost something."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hmer.data.batches import BatchConfig
from hmer.data.dataset import Expressions
from hmer.decoding.bidirectional import DecodingConfig
from hmer.evaluation.reading import read_all
from hmer.evaluation.robustness.degraded import Series
from hmer.evaluation.robustness.trials import Trial
from hmer.recognizer import Recognizer


def readings_at_most(series: Sequence[Series]) -> int:
    """How many pictures `read_series` reads, where every level changes every expression."""
    return len(_members(series)) + sum(len(row.levels) * len(row.members) for row in series)


def read_series(
    recognizer: Recognizer,
    expressions: Expressions,
    series: Sequence[Series],
    decoding: DecodingConfig,
    batch: BatchConfig,
    tell: Callable[[int], None],
) -> list[Trial]:
    """Trials of all series, by series and level; level 0 is the expression as it is.

    A picture that has lost nothing is not read again. `tell` adds up to `readings_at_most`.
    """
    members = _members(series)
    pictures = {index: expressions.image(index) for index in members}
    answers = read_all(recognizer, list(pictures.values()), decoding, batch, tell)
    whole = {index: answer.tokens for index, answer in zip(members, answers, strict=True)}
    trials: list[Trial] = []
    for row in series:
        cases = [(level, index) for level in (0.0, *row.levels) for index in row.members]
        lost = [row.degrade(index, level) for level, index in cases]
        changed = [
            place
            for place, ((_, index), part) in enumerate(zip(cases, lost, strict=True))
            if not np.array_equal(part.image, pictures[index])
        ]
        images = [lost[place].image for place in changed]
        read = read_all(recognizer, images, decoding, batch, tell)
        tell(len(row.levels) * len(row.members) - len(changed))
        again = {place: answer.tokens for place, answer in zip(changed, read, strict=True)}
        trials += [
            Trial(
                row.name,
                float(level),
                lost[place].share,
                expressions.ids[index],
                expressions.tokens[index],
                list(again.get(place, whole[index])),
            )
            for place, (level, index) in enumerate(cases)
        ]
    return trials


def _members(series: Sequence[Series]) -> list[int]:
    return sorted({index for row in series for index in row.members})
