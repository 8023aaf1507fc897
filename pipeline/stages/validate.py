"""The validate stage: the gate between the dataset and the trainings.

Exit codes beside the common ones: 3, the data breaks a critical expectation; 4, a check could not
be carried out. The report is published in either case: it shows the rows and what to do.
"""

from __future__ import annotations

import sys
from threading import Thread

from hmer.errors import HmerError
from hmer.progress import Steps
from pipeline.expectations import ValidateConfig
from pipeline.gate import gather, judge, load_great_expectations
from pipeline.stage import Stage, run_stage
from pipeline.validation_report import write_report
from pipeline.verdict import Verdict

DATASET = "data/dataset"
REPORT = "reports/validation"


class GateClosed(HmerError):
    """The verdict does not let training start."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def main(stage: Stage) -> None:
    """Validate `data/dataset` into `reports/validation`.

    Raises:
        GateClosed: the data is refused, or a check is broken.
    """
    config = stage.config(ValidateConfig)
    dataset = stage.input(DATASET)
    # Its import takes seconds, in which worker processes can already read the dataset.
    Thread(target=load_great_expectations, daemon=True).start()
    with Steps("validate", None, stage.progress, " rows") as steps:
        evidence = gather(dataset, config, steps.update)
    verdict = judge(evidence, config)
    with stage.outputs(REPORT) as out:
        write_report(out, dataset, evidence, verdict, config)
    if message := verdict.message():
        sys.stderr.write(message + "\n")
    if verdict.exit_code:
        raise GateClosed(refusal(verdict), verdict.exit_code)


def refusal(verdict: Verdict) -> str:
    """Why the gate is closed, in one line."""
    page = f"see {REPORT}/index.html"
    if verdict.broken:
        names = ", ".join(finding.name for finding in verdict.broken)
        return f"checks that could not be carried out: {names}; {page}"
    names = ", ".join(finding.name for finding in verdict.refusing)
    return f"the dataset breaks critical expectations: {names}; {page} for the rows and the remedy"


if __name__ == "__main__":
    run_stage("validate", main)
