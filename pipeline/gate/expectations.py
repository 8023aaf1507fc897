"""What is expected of a dataset: thresholds, and the table of expectations.

Each expectation asserts on a column that plain functions have computed (`hmer.ingest.row_checks`,
`hmer.ingest.statistics`, `pipeline.gate.judge`), row by row, so that every failure has rows to
point at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.gate.verdict import Severity

Share = Annotated[float, Field(ge=0, le=1)]
SYMBOL_HEIGHTS = (0.4, 2.5)
"""Of an expression the median over letters and digits, in symbol units."""
NEAR = 0.95
"""Similarity of thumbnails from which on two pictures are near duplicates."""
MIN_DRIFT_ROWS = 100
"""In smaller splits drift is not judged."""
CHECKS = "checks_ran"
"""The expectation that is none of the data: where it fails, a check is broken."""
Suite = Literal["dataset", "files", "splits", "samples", "symbols"]

_DRIFT = "Look at the plots: if the shift is meant, raise the threshold; if not, mend the split."


class ValidateConfig(BaseModel):
    """Thresholds of the gate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int = Field(default=2, ge=1, description="processes that read the dataset")
    min_train_rows: int = Field(default=100, ge=1)
    min_rows: int = Field(default=10, ge=1, description="in each other split")
    needs_test: bool = Field(default=True, description="refuse a dataset without a test set")
    max_quarantine_share: Share = 0.02
    min_side: int = Field(default=4, ge=1, description="pixels, height and width")
    max_height: int = Field(default=1024, ge=1, description="pixels")
    max_width: int = Field(default=4096, ge=1, description="pixels")
    min_ink_share: Share = Field(default=0.001, description="less of the picture is ink: blank")
    max_ink_share: Share = Field(
        default=0.6, description="more of it is ink: saturated or inverted"
    )
    max_strokes: int = Field(default=400, ge=1)
    max_tokens: int = Field(default=256, ge=1)
    max_depth: int = Field(default=10, ge=1, description="rows within rows")
    max_label_overlap: Share = Field(
        default=0.5, description="rows of val and test, label also in train"
    )
    max_symbol_drift: Share = Field(
        default=0.05, description="Jensen-Shannon divergence from train, bits"
    )
    max_shape_drift: float = Field(
        default=0.25, ge=0, description="population stability index from train"
    )
    min_symbol_count: int = Field(
        default=5, ge=0, description="of each token of the vocabulary in train"
    )
    severity: dict[str, Severity] = Field(default_factory=dict, description="by expectation")
    tolerated: dict[str, Share] = Field(
        default_factory=dict, description="share of rows that may fail, by expectation"
    )
    few_rows: int = Field(
        default=4, ge=0, description="so many pictures out of bounds, or in quarantine, only warn"
    )
    few_share: Share = Field(default=0.01, description="the same share of the pictures only warns")

    @model_validator(mode="after")
    def _bounds_in_order(self) -> ValidateConfig:
        for low, high in (
            ("min_side", "max_height"),
            ("min_side", "max_width"),
            ("min_ink_share", "max_ink_share"),
        ):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} is above {high}: nothing could pass")
        return self

    @model_validator(mode="after")
    def _names_exist(self) -> ValidateConfig:
        names = {expectation.name for expectation in expectations(self)}
        for section, chosen in (("severity", self.severity), ("tolerated", self.tolerated)):
            if unknown := sorted(set(chosen) - names):
                raise ValueError(
                    f"{section}: no expectation is called {', '.join(unknown)}; "
                    f"there are {', '.join(sorted(names))}"
                )
        return self


@dataclass(frozen=True, slots=True)
class Expectation:
    """Every row of `suite` that has a value in `column` keeps to the bounds.

    Without bounds, the value must be "": such a column says what is wrong with a row. `tolerated`
    is the share of the rows that may break the expectation. Of a critical one that `spares_few`,
    a few rows that break it are a warning. `title` is true of good data, `remedy` is for other.
    """

    suite: Suite
    name: str
    column: str
    severity: Severity = "critical"
    low: float | None = None
    high: float | None = None
    tolerated: float = 0.0
    spares_few: bool = False
    title: str = ""
    remedy: str = ""

    @property
    def bounded(self) -> bool:
        """Whether it is bounds that are asserted."""
        return self.low is not None or self.high is not None

    @property
    def threshold(self) -> str:
        """The threshold, for a reader."""
        bounds = (("≥", self.low), ("≤", self.high))
        parts = [f"{sign} {bound:g}" for sign, bound in bounds if bound is not None]
        return " and ".join(parts) or "no exception"


def expectations(config: ValidateConfig) -> list[Expectation]:
    """The table of expectations under `config`, with its severities and tolerances applied."""
    return [
        replace(
            row,
            severity=config.severity.get(row.name, row.severity),
            tolerated=config.tolerated.get(row.name, row.tolerated),
            spares_few=row.spares_few and row.name not in config.severity,
        )
        for row in _table(config)
    ]


# fmt: off
def _table(config: ValidateConfig) -> list[Expectation]:
    return [
        Expectation("files", "schema", "schema_error",
            title="Files keep the data contract",
            remedy="Run ingest again: these files were not written by it, or by another version."),
        Expectation("samples", CHECKS, "broken",
            title="Every check of a row could be carried out",
            remedy="A fault of the check, not of the data: report it."),
        Expectation("samples", "complete", "missing",
            title="No required value is empty",
            remedy="Give these rows the values named, in the source, and ingest again."),
        Expectation("samples", "split_agrees", "split_error",
            title="Rows lie in the file of their split",
            remedy="Run ingest again: rows have been moved between files."),
        Expectation("samples", "unique_id", "id_repeats",
            title="Ids are unique within their split",
            remedy="Rename or remove the second of each pair in the source, and ingest again."),
        Expectation("splits", "enough_rows", "too_few",
            title="Train, val and each test set have enough rows",
            remedy="Add data, or lower validate.min_train_rows or validate.min_rows."),
        Expectation("dataset", "quarantine_share", "quarantine_share",
            high=config.max_quarantine_share, spares_few=True,
            title="Little was refused by ingest",
            remedy="Read the reasons in the quarantine table; mend the source, or raise "
            "validate.max_quarantine_share. A few (validate.few_rows) are a warning."),
        Expectation("splits", "label_overlap", "label_overlap", "warning",
            high=config.max_label_overlap,
            title="Few labels of val and test occur in train",
            remedy="Usual where writers copied the same formulas. If it is not meant, split by "
            "label."),
        Expectation("splits", "symbol_drift", "symbol_drift", "warning",
            high=config.max_symbol_drift,
            title="Symbols are distributed as in train",
            remedy=_DRIFT),
        Expectation("splits", "length_drift", "length_drift", "warning",
            high=config.max_shape_drift,
            title="Label lengths are distributed as in train",
            remedy=_DRIFT),
        Expectation("splits", "size_drift", "size_drift", "warning", high=config.max_shape_drift,
            title="Picture heights and widths are distributed as in train",
            remedy=_DRIFT),
        Expectation("symbols", "symbol_learnable", "needed", "warning",
            low=config.min_symbol_count,
            title="Symbols that val or test uses are common enough in train",
            remedy="These symbols cannot be learnt: add examples, or expect errors on them."),
        Expectation("samples", "vocabulary", "unknown",
            title="Tokens are in the vocabulary",
            remedy="Correct these labels or leave them out; another dialect (ingest.dialect) "
            "helps only where its vocabulary has the tokens named."),
        Expectation("samples", "label_parses", "parse_error",
            title="Labels parse",
            remedy="Correct these labels in the source (the position is named), and ingest again."),
        Expectation("samples", "label_length", "tokens", "warning", low=1, high=config.max_tokens,
            title="Labels have a usable length",
            remedy="Longer labels are cut off by the decoder: leave them out or raise "
            "validate.max_tokens and the decoder's limit."),
        Expectation("samples", "label_depth", "depth", "warning", high=config.max_depth,
            title="Labels are not nested absurdly deep",
            remedy="Look whether these labels are meant."),
        Expectation("samples", "caption_agrees", "difference", "warning",
            tolerated=0.02,
            title="Captions are what their raw truths normalise to",
            remedy="Either may be wrong: the explanation is named, with what the raw truth gives. "
            "Correct the caption file, or leave it out."),
        Expectation("samples", "annotations_agree", "noise", "warning",
            tolerated=0.1,
            title="Caption, structure and symbols of an expression agree",
            remedy="Label noise: correct these files, or expect these labels to teach errors."),
        Expectation("samples", "image_decodes", "image_error",
            title="Pictures decode to their declared size",
            remedy="Run ingest again; if it stays, the source pictures are damaged."),
        Expectation("samples", "image_height", "height", low=config.min_side,
            high=config.max_height, spares_few=True,
            title="Picture heights are within bounds",
            remedy="Leave these rows out, rescale them, or change validate.min_side and "
            "max_height."),
        Expectation("samples", "image_width", "width", low=config.min_side, high=config.max_width,
            spares_few=True,
            title="Picture widths are within bounds",
            remedy="Leave these rows out, rescale them, or change validate.min_side and "
            "max_width."),
        Expectation("samples", "ink_share", "ink_share", low=config.min_ink_share,
            high=config.max_ink_share, spares_few=True,
            title="Pictures are neither blank nor saturated",
            remedy="Blank: the ink was lost. Saturated: the polarity is wrong (ink must be bright "
            "on black) or the background was kept. Mend them in the source, or take them "
            "out. A few (validate.few_rows, few_share) are a warning."),
        Expectation("samples", "ink_agrees", "ink_error",
            title="Packed ink agrees with its row",
            remedy="Run ingest again: ink and row were not written together."),
        Expectation("samples", "strokes", "strokes", "warning", low=1, high=config.max_strokes,
            title="Stroke counts are within bounds",
            remedy="Look whether these are single expressions; leave them out or raise "
            "validate.max_strokes."),
        Expectation("samples", "symbol_size", "symbol_height", "warning",
            low=SYMBOL_HEIGHTS[0], high=SYMBOL_HEIGHTS[1], tolerated=0.01,
            title="Letters and digits are about one symbol unit high",
            remedy="The scale was misjudged, by a long stroke or by stray ink: look at the "
            "pictures."),
        Expectation("samples", "boxes_inside", "box_error", "warning",
            title="Symbol boxes lie in the picture",
            remedy="Run ingest again: boxes and picture were not made together."),
        Expectation("samples", "writer_leak", "writer_leak",
            title="No writer is on both sides of a split",
            remedy="Move all rows of these writers to one side, in the source; ingest cuts val by "
            "writer."),
        Expectation("splits", "writer_known", "unknown_writers", "warning", high=0,
            title="Writers are known",
            remedy="Where the writer is unknown, leakage by writer cannot be seen. Name the "
            "writers if you can."),
        Expectation("samples", "image_leak", "image_leak",
            title="No picture of val or test is in an earlier split",
            remedy="Remove these rows from the later split (the earlier row is named)."),
        Expectation("samples", "near_leak", "near_leak", "warning",
            title="No picture of val or test nearly equals one of an earlier split with its label",
            remedy="Look at the pairs: a re-scanned or re-scaled copy must go from one side."),
        Expectation("samples", "repeats", "repeats", "warning", tolerated=0.02,
            title="Pictures are not repeated within a split",
            remedy="Remove the copies (the first is named), or raise validate.tolerated.repeats."),
        Expectation("samples", "contradicts", "contradicts", "warning",
            title="Equal pictures have equal labels",
            remedy="One of each pair is mislabelled: correct it in the source."),
    ]
# fmt: on
