"""Stage `register`: the recogniser into the model registry: champion, challenger, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.stage import Stage, run_stage

if TYPE_CHECKING:
    from pipeline.registry.register import Candidate

REPORT = "reports/registration.json"
PICTURE = "reports/registration.png"


def main(stage: Stage) -> None:
    """Recogniser and its scores in, decision out; the registry and the champion folder change."""
    from hmer.evaluation.evaluate import EvaluateConfig
    from pipeline.registry.decision import RegisterConfig
    from pipeline.registry.plot import registration_plot
    from pipeline.registry.register import candidate, register
    from pipeline.registry.versions import export

    config = stage.config(RegisterConfig)
    scoring = stage.config(EvaluateConfig, "evaluate")
    found = candidate(
        model=stage.input("data/models/finetune"),
        dataset=stage.input("data/dataset"),
        evaluation=stage.input("reports/evaluation"),
        split=config.split,
        decoding=scoring.decoding.model_dump(mode="json"),
    )

    def rescore(model: Path, asks: Candidate, work: Path) -> Path:
        from pipeline.registry.register import rescore

        return rescore(model, asks, scoring, work)

    with stage.tracked(config) as tracker:
        registration = register(config, found, tracker, stage.root, rescore)
        if registration.promoted:
            export(found.model, stage.root)
        report = registration.report()
        with stage.output_file(PICTURE) as out:
            out.write_bytes(registration_plot(report))
        with stage.output_file(REPORT) as out:
            out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        tracker.metrics({"gate": report["comparison"] or {}, found.split: found.shown})
        tracker.outputs(stage.root / PICTURE)
        tracker.outputs(stage.root / REPORT)


if __name__ == "__main__":
    run_stage("register", main)
