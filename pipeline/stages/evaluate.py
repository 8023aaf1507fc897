"""Stage `evaluate`: the recogniser on validation and test sets; the only reader of test data."""

from __future__ import annotations

import shutil

from pipeline.stage import Stage, run_stage


def main(stage: Stage) -> None:
    """Recogniser and dataset in, report out."""
    from hmer.evaluation.evaluate import EvaluateConfig, evaluate
    from hmer.progress import Steps

    config = stage.config(EvaluateConfig)
    model = stage.input("data/models/finetune")
    dataset = stage.input("data/dataset")
    with stage.tracked(config) as tracker:
        with stage.outputs("reports/evaluation") as out:
            with Steps("evaluate", None, stage.progress, " images") as steps:
                evaluate(config, model, dataset, out, steps.update)
            tracker.outputs(out)
        # Once more outside the cached folder: small, readable, and kept in git.
        with stage.output_file("reports/evaluation.json") as copy:
            shutil.copyfile(stage.root / "reports/evaluation/metrics.json", copy)


if __name__ == "__main__":
    run_stage("evaluate", main)
