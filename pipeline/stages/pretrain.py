"""Stage `pretrain`: the encoder, by contrast between views of the same ink (no labels)."""

from __future__ import annotations

from pipeline.launch import run_stage
from pipeline.stage import Stage


def main(stage: Stage) -> None:
    """Train split in, encoder weights and curves out."""
    from hmer.selfsup.pretrain import PretrainConfig, pretrain
    from hmer.training.run import RunContext
    from pipeline.base import BaseConfig
    from pipeline.gate.verdict import require_passed

    config, base = stage.config(PretrainConfig), stage.config(BaseConfig, "base")
    train = stage.input("data/dataset/train.parquet")
    require_passed(stage.input("reports/validation/gate.json"))
    with stage.tracked(config) as tracker, stage.outputs("data/models/pretrain") as out:
        run = RunContext(stage.resume, tracker.logger, stage.progress)
        pretrain(config, base.render, train, out, run, base.seed)
        tracker.outputs(out)


if __name__ == "__main__":
    run_stage("pretrain", main)
