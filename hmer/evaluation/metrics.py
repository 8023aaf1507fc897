"""Expression-level metrics that cannot flatter: every truth counts, read or not.

All rates are percent. The denominator is the number of truths; an expression that could not be
read is wrong at every tolerance, all of its truth counts as deleted, and its id is listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rapidfuzz.distance import Levenshtein

from hmer.evaluation.structure import same_structure
from hmer.latex.dialect import canonical

TOLERANCES = (0, 1, 2, 3)


@dataclass(frozen=True, slots=True)
class SequenceScores:
    """Scores of token sequences against their truths, all in percent.

    `exprate` counts equal sequences, `le1` to `le3` those within that many token edits;
    `ter` and `cer` are summed edit distance over summed truth length, by tokens and by characters
    of the LaTeX written without spaces. Error rates can exceed 100.
    """

    exprate: float
    le1: float
    le2: float
    le3: float
    ter: float
    cer: float


@dataclass(frozen=True, slots=True)
class MetricsSummary(SequenceScores):
    """The scores in the dialect as is, in the canonical reading, and of the structure alone."""

    n: int
    canonical: SequenceScores
    structure_rate: float
    unreadable: tuple[str, ...]

    @property
    def exprate_canonical(self) -> float:
        """ExpRate after both sides were brought to the canonical reading, percent."""
        return self.canonical.exprate

    def flat(self) -> dict[str, float]:
        """Numbers by name: own scores, `<name>_canonical`, `unreadable` as a count."""
        names = tuple(SequenceScores.__dataclass_fields__)
        return {
            "n": self.n,
            **{name: getattr(self, name) for name in names},
            "structure_rate": self.structure_rate,
            **{f"{name}_canonical": value for name, value in asdict(self.canonical).items()},
            "unreadable": len(self.unreadable),
        }


class _Tally:
    """Running sums of one reading."""

    def __init__(self) -> None:
        self.within = [0] * len(TOLERANCES)
        self.token_edits = self.tokens = 0
        self.character_edits = self.characters = 0

    def update(self, truth: Sequence[str], prediction: Sequence[str] | None) -> None:
        distance = Levenshtein.distance(truth, prediction or ())
        if prediction is not None:
            for index, tolerance in enumerate(TOLERANCES):
                self.within[index] += distance <= tolerance
        self.token_edits += distance
        self.tokens += len(truth)
        written = "".join(truth)
        self.character_edits += Levenshtein.distance(written, "".join(prediction or ()))
        self.characters += len(written)

    def scores(self, n: int) -> SequenceScores:
        # A truth of empty groups only has no canonical tokens: lengths may be 0.
        exprate, le1, le2, le3 = (100.0 * count / n for count in self.within)
        ter = 100.0 * self.token_edits / max(1, self.tokens)
        cer = 100.0 * self.character_edits / max(1, self.characters)
        return SequenceScores(exprate, le1, le2, le3, ter, cer)


class ExpressionMetrics:
    """Accumulates scores over expressions; each id may be scored once."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._ids: set[str] = set()
        self._unreadable: list[str] = []
        self._same_structure = 0
        self._written = _Tally()
        self._canonical = _Tally()

    def __len__(self) -> int:
        return len(self._ids)

    def update(self, id: str, truth: Sequence[str], prediction: Sequence[str] | None) -> None:
        """Score one expression; `prediction` is None where it could not be read.

        Raises:
            ValueError: the truth is empty, a side is a string, or the id was scored before.
        """
        if not truth or isinstance(truth, str) or isinstance(prediction, str):
            raise ValueError(f"{id}: expected non-empty lists of tokens")
        if id in self._ids:
            raise ValueError(f"{id}: scored twice")
        self._ids.add(id)
        self._written.update(truth, prediction)
        if prediction is None:
            self._unreadable.append(id)
            self._canonical.update(canonical(truth), None)
            return
        self._canonical.update(canonical(truth), canonical(prediction))
        self._same_structure += same_structure(truth, prediction)

    def summary(self) -> MetricsSummary:
        """Scores over everything seen since the last reset.

        Raises:
            ValueError: nothing was scored, so there is no rate to tell.
        """
        n = len(self._ids)
        if not n:
            raise ValueError("nothing was scored")
        return MetricsSummary(
            **asdict(self._written.scores(n)),
            n=n,
            canonical=self._canonical.scores(n),
            structure_rate=100.0 * self._same_structure / n,
            unreadable=tuple(self._unreadable),
        )
