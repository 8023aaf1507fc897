"""Stage `attend`: the attention network, by matching progressively masked ink (no labels)."""

from __future__ import annotations

from pipeline.stage import Stage, run_stage
from pipeline.stages.plan import skipped


def main(stage: Stage) -> None:
    """Train split and encoder in; attention weights, curves and pictures out.

    Of the validation split only a dozen images are looked at, for the pictures.
    """
    if skipped(stage):
        return
    from hmer.selfsup.attend import AttendConfig, attend
    from hmer.training.fit import RunContext
    from pipeline.gate.verdict import require_passed
    from pipeline.params import BaseConfig

    config, base = stage.config(AttendConfig), stage.config(BaseConfig, "base")
    train = stage.input("data/dataset/train.parquet")
    show = stage.input("data/dataset/val.parquet")
    encoder = stage.input("data/models/pretrain/encoder.safetensors")
    require_passed(stage.input("reports/validation/gate.json"))
    with stage.tracked(config) as tracker, stage.outputs("data/models/attend") as out:
        run = RunContext(stage.resume, tracker.metrics, stage.progress)
        attend(config, base.render, train, encoder, out, run, base.seed, show)
        tracker.outputs(out)


if __name__ == "__main__":
    run_stage("attend", main)
