"""Stage `evaluate`: the recogniser on validation and test sets; the only reader of test data."""

from __future__ import annotations

from pipeline.stage import Stage, run_stage


def main(stage: Stage) -> None:
    """Recogniser and dataset in, report out."""
    from hmer.evaluation.evaluate import EvaluateConfig, evaluate

    config = stage.config(EvaluateConfig)
    model = stage.input("data/models/finetune")
    dataset = stage.input("data/dataset")
    with stage.tracked(config) as tracker, stage.outputs("reports/evaluation") as out:
        evaluate(config, model, dataset, out, stage.progress)
        tracker.outputs(out)


if __name__ == "__main__":
    run_stage("evaluate", main)
