"""Stage `register`: the recogniser into the model registry: champion, challenger, or refused."""

from __future__ import annotations

import json
from functools import partial

from pipeline.stage import Stage, run_stage

REPORT = "reports/registration.json"
PICTURE = "reports/registration.png"


def main(stage: Stage) -> None:
    """Recogniser and its scores in, decision out; the registry and the champion folder change."""
    from hmer.evaluation.evaluate import EvaluateConfig
    from pipeline.registry.decision import RegisterConfig
    from pipeline.registry.plot import registration_plot
    from pipeline.registry.register import candidate, register, rescore
    from pipeline.registry.versions import CHAMPION, export

    config = stage.config(RegisterConfig)
    scoring = stage.config(EvaluateConfig, "evaluate")
    found = candidate(
        model=stage.input("data/models/finetune"),
        dataset=stage.input("data/dataset"),
        evaluation=stage.input("reports/evaluation"),
        split=config.split,
        decoding=scoring.decoding.model_dump(mode="json"),
    )

    with stage.tracked(config) as tracker:
        report = register(config, found, tracker, stage.root, partial(rescore, scoring))
        if report["decision"] == CHAMPION:
            export(found.model, stage.root)
        with stage.output_file(PICTURE) as out:
            out.write_bytes(registration_plot(report))
        with stage.output_file(REPORT) as out:
            out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        tracker.metrics({"gate": report["comparison"] or {}, found.split: found.shown})
        tracker.outputs(stage.root / PICTURE)
        tracker.outputs(stage.root / REPORT)


if __name__ == "__main__":
    run_stage("register", main)
