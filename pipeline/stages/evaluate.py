"""Stage `evaluate`: the recogniser on validation and test sets; the only reader of test data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.dvcfile import scored_sets
from pipeline.stage import Stage, run_stage
from pipeline.stages.plan import StartConfig

if TYPE_CHECKING:
    import pandas as pd


def main(stage: Stage) -> None:
    """Recogniser and dataset in, report out.

    Where fine-tuning went on from a recogniser, that one is scored beside it.
    """
    from hmer.evaluation.evaluate import EvaluateConfig, evaluate
    from hmer.models.about import weights_file
    from hmer.progress import Steps

    config = stage.config(EvaluateConfig)
    model = stage.input("data/models/finetune")
    dataset = stage.input("data/dataset")
    start = stage.input(stage.config(StartConfig, "finetune").start)
    earlier = start if weights_file(start).is_file() else None
    with stage.tracked(config) as tracker:
        with stage.outputs("reports/evaluation") as out:
            with Steps("evaluate", None, stage.progress, " images") as steps:
                found = evaluate(config, model, dataset, out, steps.update, earlier)
            scores = headlines(found)
            tracker.outputs(out, scores)
            for table in sorted(out.glob("*/predictions.parquet")):
                tracker.table(_readable(table), f"{table.parent.name}/predictions.json")
        # Once more outside the cached folder: small, readable, and kept in git.
        with stage.output_file("reports/evaluation.json") as copy:
            shutil.copyfile(stage.root / "reports/evaluation/metrics.json", copy)
        with stage.outputs("reports/scores") as folder:
            for split, values in scores.items():
                text = json.dumps(values, indent=2) + "\n"
                (folder / f"{split}.json").write_text(text, encoding="utf-8")


def headlines(metrics: dict[str, Any]) -> dict[str, dict[str, float]]:
    """The main numbers of each set, of hundreds: for `dvc metrics show` and MLflow's charts."""
    from hmer.evaluation.metrics import METRICS

    names = [metric.name for metric in METRICS.values() if metric.headline]
    return {
        split: {name: round(values[name], 3) for name in names if name in values}
        for split, values in scored_sets(metrics).items()
    }


def _readable(table: Path) -> pd.DataFrame:
    """The predictions of one set as people read them, most confident errors first."""
    import pandas as pd

    frame = pd.read_parquet(table)
    for column in ("truth", "prediction"):
        frame[column] = [" ".join(tokens) if tokens is not None else "" for tokens in frame[column]]
    frame = frame.rename(columns={"prediction": "reading", "distance": "edits"})
    return frame.sort_values(["correct", "confidence", "id"], ascending=[True, False, True])


if __name__ == "__main__":
    run_stage("evaluate", main)
