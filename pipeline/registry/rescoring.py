"""The champion on new test data: without it no model could be promoted after the data changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq

from hmer.evaluation.evaluate import EvaluateConfig, evaluate
from pipeline.registry.candidate import Candidate


def rescore(model: Path, candidate: Candidate, config: EvaluateConfig, work: Path) -> Path:
    """Evaluate the recogniser in `model` as `candidate` was evaluated.

    Args:
        model: folder of the recogniser.
        candidate: names the test set.
        config: how candidates are evaluated now.
        work: an empty folder.

    Returns:
        The report folder of that set, with what `read_evidence` wants.

    Raises:
        HmerError: this code cannot load the model.
    """
    view, out = work / "dataset", work / "evaluation"
    view.mkdir()
    out.mkdir()
    test = view / candidate.test.name
    test.symlink_to(candidate.test.resolve())
    # `evaluate` scores the validation split too: one expression of it is enough here.
    first = pq.ParquetFile(candidate.test).read_row_group(0).slice(0, 1)
    pq.write_table(first, view / "val.parquet")
    quarantine = candidate.test.with_name("quarantine.parquet")
    if quarantine.is_file():
        shutil.copyfile(quarantine, view / quarantine.name)
    evaluate(config, model, view, out)
    return out / candidate.split
