"""Stage `pretrain`: the encoder, by contrast between views of the same ink (no labels)."""

from __future__ import annotations

from pipeline.stage import Stage, run_stage
from pipeline.stages.plan import skipped


def main(stage: Stage) -> None:
    """Train split in, encoder weights and curves out."""
    if skipped(stage):
        return
    from hmer.selfsup.pretrain import PretrainConfig, pretrain
    from hmer.training.fit import RunContext
    from pipeline.gate.verdict import require_passed
    from pipeline.params import BaseConfig

    config, base = stage.config(PretrainConfig), stage.config(BaseConfig, "base")
    train = stage.input("data/dataset/train.parquet")
    require_passed(stage.input("reports/validation/gate.json"))
    with stage.tracked(config) as tracker, stage.outputs("data/models/pretrain") as out:
        run = RunContext(stage.resume, tracker.metrics, stage.progress)
        pretrain(config, base.render, train, out, run, base.seed)
        tracker.outputs(out)


if __name__ == "__main__":
    run_stage("pretrain", main)
