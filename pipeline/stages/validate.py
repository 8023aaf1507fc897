"""Stage `validate`: the gate between the dataset and the trainings.

Exit codes beside the common ones: 3, the data breaks a critical expectation; 4, a check could not
be carried out. The report is published in either case: it shows the rows and what to do.
"""

from __future__ import annotations

import sys
from threading import Thread

from pipeline.stage import Stage, run_stage

# Heavy imports are in `main`: the processes that read the dataset import this module again.


def main(stage: Stage) -> None:
    """Dataset in, report with the verdict out.

    Raises:
        GateClosed: the data is refused, or a check is broken.
    """
    from pipeline.gate.expectations import ValidateConfig
    from pipeline.gate.judge import gather, judge, load_great_expectations
    from pipeline.gate.report import write_report

    config = stage.config(ValidateConfig)
    dataset = stage.input("data/dataset")
    with stage.tracked(config) as tracker:
        # Its import takes seconds, in which the processes can already read the dataset.
        Thread(target=load_great_expectations, daemon=True).start()

        from hmer.progress import Steps

        with Steps("validate", None, stage.progress, " rows") as steps:
            evidence = gather(dataset, config, steps.update)
        verdict = judge(evidence, config)
        with stage.outputs("reports/validation") as out:
            write_report(out, dataset, evidence, verdict)
        tracker.outputs(stage.root / "reports/validation")
        tracker.tags({"verdict": "passed" if verdict.passed else "refused"})
        tracker.metrics(
            {
                "rows": verdict.rows,
                "quarantined": verdict.quarantined,
                "expectations": len(verdict.findings),
                "refusing": len(verdict.refusing),
                "warnings": len(verdict.warnings),
                "broken": len(verdict.broken),
            }
        )
        if message := verdict.message():
            tracker.tags({"verdict.message": message})
            sys.stderr.write(message + "\n")
        verdict.require("reports/validation/index.html")


if __name__ == "__main__":
    run_stage("validate", main)
