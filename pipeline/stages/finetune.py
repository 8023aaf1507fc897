"""Stage `finetune`: the whole recogniser, with labels, from the phases before or a finished one."""

from __future__ import annotations

from pipeline.stage import Stage, run_stage


def main(stage: Stage) -> None:
    """Dataset, encoder and attention network in, recogniser and curves out."""
    from hmer.models.registry import ModelConfig
    from hmer.training.finetune import FinetuneConfig, finetune
    from hmer.training.fit import RunContext
    from pipeline.gate.verdict import require_passed
    from pipeline.params import BaseConfig
    from pipeline.stages.plan import StartConfig

    config, base = stage.config(FinetuneConfig), stage.config(BaseConfig, "base")
    choice = stage.config(ModelConfig, "model")
    dataset = stage.input("data/dataset/train.parquet").parent
    stage.input("data/dataset/val.parquet")
    stage.input("data/dataset/vocabulary.json")
    stage.input("data/dataset/outer")
    encoder = stage.input("data/models/pretrain/encoder.safetensors")
    attention = stage.input("data/models/attend/attention.safetensors")
    begin = stage.config(StartConfig)
    start = stage.input(begin.start) if begin.goes_on else None
    require_passed(stage.input("reports/validation/gate.json"))
    settings = {"model": choice.model_dump(), **config.model_dump(mode="json")}
    with stage.tracked(settings) as tracker, stage.outputs("data/models/finetune") as out:
        run = RunContext(stage.resume, tracker.metrics, stage.progress)
        finetune(
            config, choice, base.render, dataset, encoder, attention, start, out, run, base.seed
        )
        tracker.outputs(out)


if __name__ == "__main__":
    run_stage("finetune", main)
