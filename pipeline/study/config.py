"""What a study is: the variants of one configuration, and what is measured of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from hmer.errors import HmerError
from pipeline.params import explain, leaves, read_named

FOLDER = "configs/studies"
TARGET = "evaluate"
"""The last stage that is run; its metrics are what a study compares."""
_NAME = re.compile(r"^[a-z0-9]+(-[a-z0-9]+)*$")
SEED = "base.seed"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Metric(_Strict):
    """A number of the evaluation, and how it is shown."""

    name: str = Field(min_length=1, description="dotted, as in the file of results")
    heading: str = Field(min_length=1, description="of its column")
    unit: str = Field(default="", description="%, or nothing")
    better: Literal["higher", "lower"] = "higher"
    main: bool = Field(default=False, description="has a panel of its own in the figure")
    digits: int = Field(default=1, ge=0, le=6, description="decimals shown")


class Variant(_Strict):
    """One arm of a study."""

    describe: str = Field(min_length=1, description="what is special about it, in a few words")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="as in params.yaml; null removes what is there"
    )
    against: str | None = Field(
        default=None, description="the variant it is compared with, if not the reference"
    )


class Curve(_Strict):
    """A panel with lines: over the values of a parameter, or over numbered levels of a metric."""

    title: str
    x: str = Field(description="what the horizontal axis shows")
    metric: str = Field(description="a metric; or the name before `_<level>`, if no parameter")
    y: str = Field(default="", description="what the vertical axis shows")
    parameter: str | None = Field(
        default=None, description="the number in the variants' parameters that is the place on x"
    )
    log: bool = Field(default=False, description="logarithmic horizontal axis")
    lines: dict[str, list[str]] = Field(
        min_length=1, description="for each line its variants; one for a metric of levels"
    )

    @model_validator(mode="after")
    def _one_variant_has_the_levels(self) -> Self:
        if self.parameter is None:
            many = [name for name, variants in self.lines.items() if len(variants) != 1]
            if many:
                raise ValueError(f"line {many[0]}: without `parameter` a line has one variant")
        return self


class StudyConfig(_Strict):
    """The content of `configs/studies/<name>.yaml`."""

    title: str
    configuration: str = Field(description="a file in configs/, which all variants start from")
    settings: dict[str, Any] = Field(default_factory=dict, description="for all variants")
    seeds: list[int] = Field(min_length=1, description="of the trainings; the data stay the same")
    split: str = Field(default="val", min_length=1, description="the set whose metrics are read")
    metrics: list[Metric] = Field(min_length=1)
    reference: str = Field(description="the variant that others are compared with")
    variants: dict[str, Variant] = Field(min_length=1)
    curves: list[Curve] = Field(default_factory=list)
    report: str = Field(
        pattern=_NAME.pattern,
        description="folder below reports/, and name of the JSON, Markdown and PNG in it",
    )

    @field_validator("seeds")
    @classmethod
    def _different(cls, seeds: list[int]) -> list[int]:
        if any(not 0 <= seed < 2**31 for seed in seeds) or len(set(seeds)) < len(seeds):
            raise ValueError("seeds are different whole numbers from 0 on")
        return seeds

    @field_validator("variants")
    @classmethod
    def _nameable(cls, variants: dict[str, Variant]) -> dict[str, Variant]:
        for name, variant in variants.items():
            _check_name(name)
            if SEED in dict(leaves(variant.settings)):
                raise ValueError(f"{name} sets {SEED}, which is the study's: list it in `seeds`")
        return variants

    @model_validator(mode="after")
    def _all_named_are_there(self) -> Self:
        names = [metric.name for metric in self.metrics]
        if len(set(names)) < len(names):
            raise ValueError("metrics: one is listed twice")
        used = {"reference": [self.reference]}
        used |= {
            f"variants.{n}.against": [v.against] for n, v in self.variants.items() if v.against
        }
        for curve in self.curves:
            used[f"curve {curve.title!r}"] = [v for line in curve.lines.values() for v in line]
        for place, variants in used.items():
            for name in variants:
                if name not in self.variants:
                    raise ValueError(f"{place}: {name!r} is none of {', '.join(self.variants)}")
        return self

    def rival(self, variant: str) -> str | None:
        """What a variant is compared with; None for the reference itself."""
        rival = self.variants[variant].against or self.reference
        return None if rival == variant else rival

    @property
    def main(self) -> list[Metric]:
        """The metrics with panels of their own; the first one if none is marked."""
        return [metric for metric in self.metrics if metric.main] or self.metrics[:1]


def load_study(root: Path, name: str) -> StudyConfig:
    """A study by name.

    Raises:
        HmerError: there is none, or one line with all that is wrong in its file.
    """
    values = read_named(root / FOLDER, name, "study")
    file = f"{FOLDER}/{name}.yaml"
    try:
        _check_name(name)
        return StudyConfig.model_validate(values)
    except ValidationError as error:
        raise HmerError(explain(error, StudyConfig, file)) from None
    except ValueError as error:
        raise HmerError(f"{file}: {error}") from None


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r}: a name has small letters, digits and single hyphens only")
