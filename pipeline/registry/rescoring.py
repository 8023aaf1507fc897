"""The champion on new test data: without it no model could be promoted after the data changed."""

from __future__ import annotations

from pathlib import Path

from hmer.evaluation.evaluate import EvaluateConfig, evaluate
from pipeline.registry.candidate import Candidate


def rescore(model: Path, candidate: Candidate, config: EvaluateConfig, out: Path) -> Path:
    """Evaluate the recogniser in `model` as `candidate` was evaluated.

    Args:
        model: folder of the recogniser.
        candidate: names the split that decides.
        config: how candidates are evaluated now.
        out: an empty folder.

    Returns:
        The report folder of that split, with what `read_evidence` wants.

    Raises:
        HmerError: this code cannot load the model, or the data set cannot be read.
    """
    dataset, split = candidate.test.parent, candidate.split
    evaluate(config.for_comparison(), model, dataset, out, names=[split])
    return out / split
