"""What is expected of a dataset: thresholds, and the table of expectations.

Each expectation asserts on a column that plain functions have computed (`hmer.data.facts`,
`hmer.data.overlap`, `pipeline.gate`), row by row, so that every failure has rows to point at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.verdict import Severity

Share = Annotated[float, Field(ge=0, le=1)]
Suite = Literal["dataset", "files", "splits", "samples", "symbols"]


class ValidateConfig(BaseModel):
    """Thresholds of the gate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int = Field(2, ge=1, description="processes that read the dataset")
    min_train_rows: int = Field(100, ge=1)
    min_rows: int = Field(10, ge=1, description="in each other split")
    max_quarantine_share: Share = 0.02
    min_side: int = Field(4, ge=1, description="pixels, height and width")
    max_height: int = Field(1024, ge=1, description="pixels")
    max_width: int = Field(4096, ge=1, description="pixels")
    min_ink_share: Share = Field(0.001, description="less of the picture is ink: blank")
    max_ink_share: Share = Field(0.6, description="more of it is ink: saturated or inverted")
    max_strokes: int = Field(400, ge=1)
    max_tokens: int = Field(256, ge=1)
    max_depth: int = Field(10, ge=1, description="rows within rows")
    near_similarity: Share = Field(0.9, description="of fingerprints: near duplicates")
    max_repeat_share: Share = Field(0.02, description="rows of a split with a repeated picture")
    max_label_overlap: Share = Field(0.5, description="rows of val and test, label also in train")
    max_symbol_drift: Share = Field(0.05, description="Jensen-Shannon divergence from train, bits")
    max_shape_drift: float = Field(0.25, ge=0, description="population stability index from train")
    min_drift_rows: int = Field(100, ge=1, description="in smaller splits drift is not judged")
    min_symbol_count: int = Field(5, ge=0, description="of each token of the vocabulary in train")
    severity: dict[str, Severity] = Field(default_factory=dict, description="by expectation")
    tolerated: dict[str, Share] = Field(
        default_factory=dict, description="share of rows that may fail, by expectation"
    )
    listed: int = Field(100, ge=1, description="failing rows named in the verdict, at most")
    pictured: int = Field(12, ge=0, description="of which shown with their picture")

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
    """Every row of `suite` that has a value in `column` keeps to the bounds or is in `allowed`.

    `tolerated` is the share of these rows that may break it.
    """

    suite: Suite
    name: str
    column: str
    title: str
    remedy: str
    severity: Severity = "critical"
    low: float | None = None
    high: float | None = None
    allowed: tuple[str, ...] = field(default=("",))
    tolerated: float = 0.0

    @property
    def bounded(self) -> bool:
        """Whether it is bounds that are asserted, not membership."""
        return self.low is not None or self.high is not None

    @property
    def threshold(self) -> str:
        """The threshold, for a reader."""
        if not self.bounded:
            return "none" if self.allowed == ("",) else " or ".join(self.allowed)
        parts = [
            f"{sign} {bound:g}"
            for sign, bound in (("≥", self.low), ("≤", self.high))
            if bound is not None
        ]
        return " and ".join(parts)


def expectations(config: ValidateConfig) -> list[Expectation]:
    """The table of expectations under `config`, with its severities and tolerances applied."""
    table = [*_files(), *_splits(config), *_labels(config), *_pictures(config), *_leaks(config)]
    return [
        Expectation(
            **{
                **{name: getattr(row, name) for name in Expectation.__dataclass_fields__},
                "severity": config.severity.get(row.name, row.severity),
                "tolerated": config.tolerated.get(row.name, row.tolerated),
            }
        )
        for row in table
    ]


def _files() -> list[Expectation]:
    return [
        Expectation(
            "files",
            "schema",
            "schema_error",
            "Files keep the data contract",
            "Run ingest again: these files were not written by it, or by another version.",
        ),
        Expectation(
            "samples",
            "complete",
            "missing",
            "No required value is empty",
            "Give these rows the values named, in the source, and ingest again.",
        ),
        Expectation(
            "samples",
            "split_agrees",
            "split_error",
            "Rows lie in the file of their split",
            "Run ingest again: rows have been moved between files.",
        ),
        Expectation(
            "samples",
            "unique_id",
            "id_repeats",
            "Ids are unique within their split",
            "Rename or remove the second of each pair in the source, and ingest again.",
        ),
    ]


def _splits(config: ValidateConfig) -> list[Expectation]:
    drift = "Look at the plots: if the shift is meant, raise the threshold; if not, mend the split."
    return [
        Expectation(
            "splits",
            "enough_rows",
            "too_few",
            "Train, val and each test set have enough rows",
            f"Add data, or lower validate.min_train_rows ({config.min_train_rows}) or "
            f"validate.min_rows ({config.min_rows}).",
        ),
        Expectation(
            "dataset",
            "quarantine_share",
            "quarantine_share",
            "Little was refused by ingest",
            "Read the reasons in the quarantine table; mend the source, or raise "
            "validate.max_quarantine_share.",
            high=config.max_quarantine_share,
        ),
        Expectation(
            "splits",
            "label_overlap",
            "label_overlap",
            "Few labels of val and test occur in train",
            "Usual where writers copied the same formulas. If it is not meant, split by label.",
            "warning",
            high=config.max_label_overlap,
        ),
        Expectation(
            "splits",
            "symbol_drift",
            "symbol_drift",
            "Symbols are distributed as in train",
            drift,
            "warning",
            high=config.max_symbol_drift,
        ),
        Expectation(
            "splits",
            "length_drift",
            "length_drift",
            "Label lengths are distributed as in train",
            drift,
            "warning",
            high=config.max_shape_drift,
        ),
        Expectation(
            "splits",
            "size_drift",
            "size_drift",
            "Picture heights and widths are distributed as in train",
            drift,
            "warning",
            high=config.max_shape_drift,
        ),
        Expectation(
            "symbols",
            "symbol_learnable",
            "needed",
            "Symbols that val or test uses are common enough in train",
            "These symbols cannot be learnt: add examples, or expect errors on them.",
            "warning",
            low=config.min_symbol_count,
        ),
    ]


def _labels(config: ValidateConfig) -> list[Expectation]:
    return [
        Expectation(
            "samples",
            "vocabulary",
            "unknown",
            "Tokens are in the vocabulary",
            "Correct these labels, or ingest with a dialect whose vocabulary has the tokens named.",
        ),
        Expectation(
            "samples",
            "label_parses",
            "parse_error",
            "Labels parse",
            "Correct these labels in the source (the position is named), and ingest again.",
        ),
        Expectation(
            "samples",
            "label_length",
            "tokens",
            "Labels have a usable length",
            "Longer labels are cut off by the decoder: leave them out or raise "
            "validate.max_tokens and the decoder's limit.",
            "warning",
            low=1,
            high=config.max_tokens,
        ),
        Expectation(
            "samples",
            "label_depth",
            "depth",
            "Labels are not nested absurdly deep",
            "Look whether these labels are meant.",
            "warning",
            high=config.max_depth,
        ),
    ]


def _pictures(config: ValidateConfig) -> list[Expectation]:
    return [
        Expectation(
            "samples",
            "image_decodes",
            "image_error",
            "Pictures decode to their declared size",
            "Run ingest again; if it stays, the source pictures are damaged.",
        ),
        Expectation(
            "samples",
            "image_height",
            "height",
            "Picture heights are within bounds",
            "Leave these rows out, rescale them, or change validate.min_side and max_height.",
            low=config.min_side,
            high=config.max_height,
        ),
        Expectation(
            "samples",
            "image_width",
            "width",
            "Picture widths are within bounds",
            "Leave these rows out, rescale them, or change validate.min_side and max_width.",
            low=config.min_side,
            high=config.max_width,
        ),
        Expectation(
            "samples",
            "ink_share",
            "ink_share",
            "Pictures are neither blank nor saturated",
            "Blank: the ink was lost. Saturated: the polarity is wrong (ink must be bright on "
            "black) or the background was kept. Mend them in the source.",
            low=config.min_ink_share,
            high=config.max_ink_share,
        ),
        Expectation(
            "samples",
            "ink_agrees",
            "ink_error",
            "Packed ink agrees with its row",
            "Run ingest again: ink and row were not written together.",
        ),
        Expectation(
            "samples",
            "strokes",
            "strokes",
            "Stroke counts are within bounds",
            "Look whether these are single expressions; leave them out or raise "
            "validate.max_strokes.",
            "warning",
            low=1,
            high=config.max_strokes,
        ),
        Expectation(
            "samples",
            "boxes_inside",
            "box_error",
            "Symbol boxes lie in the picture",
            "Run ingest again: boxes and picture were not made together.",
            "warning",
        ),
    ]


def _leaks(config: ValidateConfig) -> list[Expectation]:
    return [
        Expectation(
            "samples",
            "writer_leak",
            "writer_leak",
            "No writer is on both sides of a split",
            "Move all rows of these writers to one side, in the source; ingest cuts val by writer.",
        ),
        Expectation(
            "splits",
            "writer_known",
            "unknown_writers",
            "Writers are known",
            "Where the writer is unknown, leakage by writer cannot be seen. Name the writers if "
            "you can.",
            "warning",
            high=0,
        ),
        Expectation(
            "samples",
            "image_leak",
            "image_leak",
            "No picture of val or test is in an earlier split",
            "Remove these rows from the later split (the earlier row is named).",
        ),
        Expectation(
            "samples",
            "near_leak",
            "near_leak",
            "No picture of val or test nearly equals one of an earlier split with its label",
            "Look at the pairs: a re-scanned or re-scaled copy must go from one side.",
            "warning",
        ),
        Expectation(
            "samples",
            "repeats",
            "repeats",
            "Pictures are not repeated within a split",
            "Remove the copies (the first is named), or raise validate.max_repeat_share.",
            "warning",
            tolerated=config.max_repeat_share,
        ),
        Expectation(
            "samples",
            "contradicts",
            "contradicts",
            "Equal pictures have equal labels",
            "One of each pair is mislabelled: correct it in the source.",
            "warning",
        ),
    ]
