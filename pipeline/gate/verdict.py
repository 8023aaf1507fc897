"""The verdict of the gate: what was asserted about the dataset, and whether it held.

Kept apart from the expectations so that a training stage can ask for it without the seconds that
Great Expectations takes to import.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from hmer.errors import HmerError

Severity = Literal["critical", "warning"]

DATA_REFUSED = 3
"""Exit code: the data breaks a critical expectation."""
CHECK_BROKEN = 4
"""Exit code: a check could not be carried out, so nothing is known of what it guards."""


class GateClosed(HmerError):
    """The verdict does not let training start; `exit_code` says whether for data or for a check."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Failure(BaseModel):
    """One row that breaks an expectation; `file` and `row` are None where it is not a sample."""

    model_config = ConfigDict(frozen=True)

    id: str
    value: str
    file: str | None = None
    row: int | None = None


class Finding(BaseModel):
    """What became of one expectation.

    `failed` counts all rows that break it, `failures` lists the first of them. `error` is the
    exception where the check itself is broken, else empty.
    """

    model_config = ConfigDict(frozen=True)

    suite: str
    name: str
    title: str
    severity: Severity
    success: bool
    checked: int
    failed: int
    tolerated: float
    threshold: str
    remedy: str
    failures: tuple[Failure, ...] = ()
    error: str = ""

    @property
    def refuses(self) -> bool:
        """Whether this finding alone fails the gate for its data."""
        return self.severity == "critical" and not self.success and not self.error


class Verdict(BaseModel):
    """All findings; `passed` if no critical one failed and every check could be carried out."""

    model_config = ConfigDict(frozen=True)

    passed: bool
    rows: dict[str, int]
    quarantined: int
    findings: tuple[Finding, ...]

    @property
    def refusing(self) -> list[Finding]:
        """Critical expectations that the data breaks."""
        return [finding for finding in self.findings if finding.refuses]

    @property
    def warnings(self) -> list[Finding]:
        """Expectations that the data breaks, but that do not fail the gate."""
        return [one for one in self.findings if not (one.success or one.refuses or one.error)]

    @property
    def tolerated(self) -> list[Finding]:
        """Expectations that hold although some rows break them."""
        return [finding for finding in self.findings if finding.success and finding.failed]

    @property
    def broken(self) -> list[Finding]:
        """Checks that could not be carried out."""
        return [finding for finding in self.findings if finding.error]

    def require(self, page: str) -> None:
        """Go on only with a dataset that has passed.

        Args:
            page: where the report is, for the message.

        Raises:
            GateClosed: it has not passed.
        """
        if self.broken:
            names = ", ".join(finding.name for finding in self.broken)
            raise GateClosed(f"checks could not be carried out: {names}; see {page}", CHECK_BROKEN)
        if self.refusing:
            names = ", ".join(finding.name for finding in self.refusing)
            raise GateClosed(
                f"the dataset breaks critical expectations: {names}; {page} shows the rows and "
                "the remedy",
                DATA_REFUSED,
            )

    def message(self) -> str:
        """What failed, which rows and what to do: a line or two per finding."""
        lines = []
        for finding in self.broken:
            lines.append(f"BROKEN CHECK {finding.name}: {finding.error}")
            lines.append("  this is a fault of the check, not of the data: report it")
        for finding in [*self.refusing, *self.warnings]:
            kind = "REFUSED" if finding.refuses else "warning"
            examples = ", ".join(
                f"{failure.id} ({failure.value})" if failure.value else failure.id
                for failure in finding.failures[:3]
            )
            more = ", ..." if finding.failed > 3 else ""
            lines.append(
                f"{kind} {finding.name}: {finding.failed} of {finding.checked}: {examples}{more}"
            )
            lines.append(f"  {finding.remedy}")
        return "\n".join(lines)


def verdict_of(findings: list[Finding], rows: dict[str, int], quarantined: int) -> Verdict:
    """The verdict that follows from `findings`."""
    passed = not any(finding.refuses or finding.error for finding in findings)
    return Verdict(passed=passed, rows=rows, quarantined=quarantined, findings=tuple(findings))


def require_passed(path: Path) -> None:
    """Refuse to go on with a dataset that the gate has not let through.

    Args:
        path: `verdict.json` or `gate.json` as the validate stage writes them.

    Raises:
        HmerError: there is no verdict, it cannot be read, or it is a refusal.
    """
    try:
        passed = json.loads(path.read_bytes())["passed"]
    except FileNotFoundError:
        raise HmerError(
            f"{path}: no verdict on the dataset; run the validate stage first"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HmerError(f"{path}: not a verdict; run the validate stage again") from error
    if passed is not True:
        page = path.parent / "index.html"
        raise HmerError(
            f"{path}: the validate stage refused this dataset; {page} shows the rows and the remedy"
        )
