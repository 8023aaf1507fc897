r"""Mixing the decoder's readings with a classifier of single symbols.

Both give every reading a probability: the decoder p, the classifier q, which knows single symbols
only and gives all other readings together what is left, q(other). They are mixed in equal parts:
(p + q) / 2 for a single symbol; for any other reading, between which the classifier does not
choose, p times the mean of 1 and min(1, q(other) / p(other)). Where both are sure that the ink is
no single symbol, nothing changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from hmer.decoding.bidirectional import Reading
from hmer.decoding.step import Floats, log_softmax
from hmer.latex.tree import ALPHABETS
from hmer.latex.vocabulary import Vocabulary

LEAST = 1e-3
"""Probability, by the classifier, from which on a symbol joins the readings."""

Chances = dict[tuple[int, ...], float]
"""Probabilities of readings by their tokens."""


class LoneSymbols:
    r"""The single symbols of a vocabulary: a token, or a letter of an alphabet, `\mathbb { R }`."""

    def __init__(self, vocabulary: Vocabulary, banned: Iterable[int] = ()) -> None:
        """`banned` tokens are never written."""
        self._several = vocabulary.eos
        self._alphabets = vocabulary.encode(x for x in ALPHABETS if x in vocabulary)
        self._open, self._close = vocabulary.encode("{}")
        self._banned = [vocabulary.pad, vocabulary.sos, *banned]

    def __contains__(self, reading: Sequence[int]) -> bool:
        return len(reading) == 1 or (len(reading) == 4 and reading[0] in self._alphabets)

    def chances(self, logits: Floats) -> tuple[Chances, float]:
        """The symbols that have `LEAST` or more, and the probability that the ink is none.

        Args:
            logits: (2, V), see `hmer.models.common.lone_symbol.LoneSymbol`.
        """
        logits = logits.astype(np.float64)
        logits[:, self._banned] = -np.inf
        token, letter = np.exp(log_softmax(logits))
        found: Chances = {}
        for one in np.flatnonzero(token >= LEAST).tolist():
            if one in self._alphabets:
                for inside in np.flatnonzero(token[one] * letter >= LEAST).tolist():
                    if inside != self._several:
                        reading = (one, self._open, inside, self._close)
                        found[reading] = float(token[one] * letter[inside])
            elif one != self._several:
                found[(one,)] = float(token[one])
        return found, float(token[self._several])

    def mixed(self, readings: Sequence[Reading], logits: Floats) -> list[Reading]:
        """The decoder's readings and the classifier's by their mixed probability, the best first.

        The best of the decoder's, which a score decides that allows for length, stays the first
        unless a single symbol is likelier.
        """
        symbols, several = self.chances(logits)
        alone = sum(one.confidence for one in readings if one.tokens in self)
        others = (1.0 + several / max(1.0 - alone, several, 1e-12)) / 2
        found = []
        for one in readings:
            if one.tokens in self:
                chance = (one.confidence + symbols.pop(one.tokens, 0.0)) / 2
            else:
                chance = one.confidence * others
            found.append(replace(one, confidence=chance))
        first = found[0]
        found += [Reading(k, 2 * math.log(p / 2), p / 2) for k, p in symbols.items()]
        found.sort(key=lambda one: -one.confidence)
        likely = next((one for one in found if one.tokens in self), first)
        if likely.confidence > first.confidence:
            first = likely
        return [first, *(one for one in found if one is not first)]
