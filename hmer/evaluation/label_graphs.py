"""LgEval's main figures: symbols, relations, structure and expressions of label graphs.

A symbol of the truth is *segmented* if the reading has one of exactly its strokes, and *recognised*
if that has its label, too. A relation is right if both its symbols are segmented and the reading
has the same relation between them. The structure of an expression is right if all its symbols are
segmented and all relations are right, with none too many; the expression, if all labels are right
as well. Recall is over the truth's symbols or relations, precision over the reading's.
"""

from __future__ import annotations

from dataclasses import dataclass

from hmer.latex.label_graph import LabelGraph


@dataclass
class GraphScores:
    """Counts over expressions."""

    expressions: int = 0
    true_symbols: int = 0
    read_symbols: int = 0
    segmented: int = 0
    recognised: int = 0
    true_relations: int = 0
    read_relations: int = 0
    related: int = 0
    structures: int = 0
    """Expressions of right structure."""
    correct: int = 0
    """Expressions that are right."""

    def update(self, truth: LabelGraph, read: LabelGraph) -> None:
        """Count an expression; of one that could not be read, `read` has no symbols."""
        by_strokes = {owned: key for key, owned in read.strokes.items() if owned}
        same = {
            key: by_strokes[owned] for key, owned in truth.strokes.items() if owned in by_strokes
        }
        recognised = sum(truth.labels[key] == read.labels[other] for key, other in same.items())
        related = sum(
            parent in same
            and child in same
            and read.relations.get((same[parent], same[child])) == relation
            for (parent, child), relation in truth.relations.items()
        )
        count, links = len(truth.strokes), len(truth.relations)
        structure = len(same) == len(read.strokes) == count
        structure = structure and related == len(read.relations) == links
        self.expressions += 1
        self.true_symbols += count
        self.read_symbols += len(read.strokes)
        self.segmented += len(same)
        self.recognised += recognised
        self.true_relations += links
        self.read_relations += len(read.relations)
        self.related += related
        self.structures += structure
        self.correct += structure and recognised == count

    def numbers(self) -> dict[str, float]:
        """Rates in percent, by the names of `hmer.evaluation.metrics.METRICS`; empty where nothing
        was counted."""
        if not self.expressions:
            return {}
        rates = {
            "segmentation_recall": (self.segmented, self.true_symbols),
            "segmentation_precision": (self.segmented, self.read_symbols),
            "symbol_recall": (self.recognised, self.true_symbols),
            "symbol_precision": (self.recognised, self.read_symbols),
            "relation_recall": (self.related, self.true_relations),
            "relation_precision": (self.related, self.read_relations),
            "structure": (self.structures, self.expressions),
            "exprate": (self.correct, self.expressions),
        }
        return {"label_graphs.n": float(self.expressions)} | {
            f"label_graphs.{name}": 100.0 * count / total
            for name, (count, total) in rates.items()
            if total
        }
