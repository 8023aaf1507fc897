"""What is expected of a dataset: thresholds, and the table of expectations.

Each expectation asserts on a column that plain functions have computed (`hmer.ingest.row_checks`,
`hmer.ingest.statistics`, `pipeline.gate.evidence`), row by row, so that every failure has rows to
point at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.gate.verdict import Severity

Share = Annotated[float, Field(ge=0, le=1)]
Suite = Literal["dataset", "files", "splits", "samples", "symbols"]


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
    near_similarity: Share = Field(default=0.95, description="of thumbnails: near duplicates")
    max_repeat_share: Share = Field(
        default=0.02, description="rows of a split with a repeated picture"
    )
    max_label_overlap: Share = Field(
        default=0.5, description="rows of val and test, label also in train"
    )
    max_symbol_drift: Share = Field(
        default=0.05, description="Jensen-Shannon divergence from train, bits"
    )
    max_shape_drift: float = Field(
        default=0.25, ge=0, description="population stability index from train"
    )
    min_drift_rows: int = Field(
        default=100, ge=1, description="in smaller splits drift is not judged"
    )
    min_symbol_count: int = Field(
        default=5, ge=0, description="of each token of the vocabulary in train"
    )
    min_symbol_height: float = Field(
        default=0.4, gt=0, description="median over letters and digits, in symbol units"
    )
    max_symbol_height: float = Field(default=2.5, gt=0, description="the same")
    max_scale_outliers: Share = Field(
        default=0.01, description="rows whose symbols may be outside of that"
    )
    max_caption_differences: Share = Field(
        default=0.02, description="rows whose caption is not the normalised raw truth"
    )
    max_label_noise: Share = Field(
        default=0.1, description="rows whose caption, structure and symbols contradict each other"
    )
    severity: dict[str, Severity] = Field(default_factory=dict, description="by expectation")
    tolerated: dict[str, Share] = Field(
        default_factory=dict, description="share of rows that may fail, by expectation"
    )
    few_rows: int = Field(
        default=4, ge=0, description="so many pictures out of bounds, or in quarantine, only warn"
    )
    few_share: Share = Field(default=0.01, description="the same share of the pictures only warns")
    listed: int = Field(default=100, ge=1, description="failing rows named in the verdict, at most")
    pictured: int = Field(default=12, ge=0, description="of which shown with their picture")

    @model_validator(mode="after")
    def _bounds_in_order(self) -> ValidateConfig:
        for low, high in (
            ("min_side", "max_height"),
            ("min_side", "max_width"),
            ("min_ink_share", "max_ink_share"),
            ("min_symbol_height", "max_symbol_height"),
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
    a few rows that break it are a warning.
    """

    suite: Suite
    name: str
    column: str
    severity: Severity = "critical"
    low: float | None = None
    high: float | None = None
    tolerated: float = 0.0
    spares_few: bool = False

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


def _table(config: ValidateConfig) -> list[Expectation]:
    return [
        Expectation("files", "schema", "schema_error"),
        Expectation("samples", "complete", "missing"),
        Expectation("samples", "split_agrees", "split_error"),
        Expectation("samples", "unique_id", "id_repeats"),
        Expectation("splits", "enough_rows", "too_few"),
        Expectation(
            "dataset",
            "quarantine_share",
            "quarantine_share",
            high=config.max_quarantine_share,
            spares_few=True,
        ),
        Expectation(
            "splits", "label_overlap", "label_overlap", "warning", high=config.max_label_overlap
        ),
        Expectation(
            "splits", "symbol_drift", "symbol_drift", "warning", high=config.max_symbol_drift
        ),
        Expectation(
            "splits", "length_drift", "length_drift", "warning", high=config.max_shape_drift
        ),
        Expectation("splits", "size_drift", "size_drift", "warning", high=config.max_shape_drift),
        Expectation(
            "symbols", "symbol_learnable", "needed", "warning", low=config.min_symbol_count
        ),
        Expectation("samples", "vocabulary", "unknown"),
        Expectation("samples", "label_parses", "parse_error"),
        Expectation("samples", "label_length", "tokens", "warning", low=1, high=config.max_tokens),
        Expectation("samples", "label_depth", "depth", "warning", high=config.max_depth),
        Expectation(
            "samples",
            "caption_agrees",
            "difference",
            "warning",
            tolerated=config.max_caption_differences,
        ),
        Expectation(
            "samples", "annotations_agree", "noise", "warning", tolerated=config.max_label_noise
        ),
        Expectation("samples", "image_decodes", "image_error"),
        Expectation(
            "samples",
            "image_height",
            "height",
            low=config.min_side,
            high=config.max_height,
            spares_few=True,
        ),
        Expectation(
            "samples",
            "image_width",
            "width",
            low=config.min_side,
            high=config.max_width,
            spares_few=True,
        ),
        Expectation(
            "samples",
            "ink_share",
            "ink_share",
            low=config.min_ink_share,
            high=config.max_ink_share,
            spares_few=True,
        ),
        Expectation("samples", "ink_agrees", "ink_error"),
        Expectation("samples", "strokes", "strokes", "warning", low=1, high=config.max_strokes),
        Expectation(
            "samples",
            "symbol_size",
            "symbol_height",
            "warning",
            low=config.min_symbol_height,
            high=config.max_symbol_height,
            tolerated=config.max_scale_outliers,
        ),
        Expectation("samples", "boxes_inside", "box_error", "warning"),
        Expectation("samples", "writer_leak", "writer_leak"),
        Expectation("splits", "writer_known", "unknown_writers", "warning", high=0),
        Expectation("samples", "image_leak", "image_leak"),
        Expectation("samples", "near_leak", "near_leak", "warning"),
        Expectation("samples", "repeats", "repeats", "warning", tolerated=config.max_repeat_share),
        Expectation("samples", "contradicts", "contradicts", "warning"),
    ]
