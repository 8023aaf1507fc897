"""Stage `register`: the recogniser into the model registry, as champion or as challenger."""

from __future__ import annotations

import json

from pipeline.stage import Stage, run_stage

REPORT = "reports/registration.json"


def main(stage: Stage) -> None:
    """Recogniser and its scores in, decision out; the registry and the champion folder change."""
    from pipeline.candidate import candidate
    from pipeline.champion import export
    from pipeline.promotion import RegisterConfig
    from pipeline.registry import register

    config = stage.config(RegisterConfig)
    found = candidate(
        model=stage.input("data/models/finetune"),
        dataset=stage.input("data/dataset"),
        metrics=stage.input("reports/evaluation.json"),
        split=config.split,
    )
    with stage.tracked(config) as tracker:
        registration = register(config, found, tracker, stage.root)
        if registration.promoted:
            export(found.model, stage.root)
        with stage.output_file(REPORT) as out:
            out.write_text(json.dumps(registration.report(), indent=2) + "\n", encoding="utf-8")
        tracker.outputs(stage.root / REPORT)


if __name__ == "__main__":
    run_stage("register", main)
