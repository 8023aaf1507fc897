"""The whole of `params.yaml`, typed: for checking and writing it, not for stages.

A stage reads its own section only (`Stage.config`), so that it depends on its own code only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from pkgutil import iter_modules
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

import pipeline.stages
from hmer.errors import HmerError
from hmer.evaluation.evaluate import EvaluateConfig
from hmer.ingest.ingest import IngestConfig
from hmer.models.registry import ModelConfig
from hmer.selfsup.attend import AttendConfig
from hmer.selfsup.pretrain import PretrainConfig
from hmer.training.finetune import FinetuneConfig
from pipeline.base import BaseConfig
from pipeline.flow.orchestration import FlowConfig
from pipeline.gate.expectations import ValidateConfig
from pipeline.monitor.config import MonitorConfig
from pipeline.registry.champion import FOLDER as CHAMPION
from pipeline.registry.promotion import RegisterConfig
from pipeline.sections import closest, explain, inherit, read_yaml


class Params(BaseModel):
    """One section per stage, what they share, and what surrounds them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    raw: str = Field(
        default="data/raw", description="folder with raw data; DVC watches it for `ingest`"
    )
    base: BaseConfig = Field(default_factory=BaseConfig)
    ingest: IngestConfig
    validate_: ValidateConfig = Field(alias="validate")
    pretrain: PretrainConfig
    attend: AttendConfig
    model: ModelConfig = Field(default_factory=ModelConfig)
    finetune: FinetuneConfig
    evaluate: EvaluateConfig
    register_: RegisterConfig = Field(alias="register")
    flow: FlowConfig = Field(default_factory=FlowConfig)
    monitor: MonitorConfig = Field(default_factory=MonitorConfig)

    @field_validator("raw")
    @classmethod
    def _written_out(cls, folder: str) -> str:
        return _without_home(folder)

    @field_validator("flow")
    @classmethod
    def _limits_of_stages(cls, config: FlowConfig) -> FlowConfig:
        stages = [module.name for module in iter_modules(pipeline.stages.__path__)]
        for name in config.limits:
            if name not in stages:
                meant = closest(name, stages)
                raise PydanticCustomError(
                    "stage",
                    "limits: there is no stage {name}{hint}",
                    {
                        "name": repr(name),
                        "hint": f"; did you mean {meant}?" if meant else f" ({', '.join(stages)})",
                    },
                )
        return config

    @field_validator("finetune")
    @classmethod
    def _starts_from_what_stays(cls, config: FinetuneConfig) -> FinetuneConfig:
        _without_home(config.start)
        if PurePosixPath(config.start).is_relative_to(CHAMPION):
            raise PydanticCustomError(
                "start",
                "start is {folder}, which a run replaces, so that it would be trained anew for "
                "ever; copy it to a folder of your own and name that",
                {"folder": config.start},
            )
        return config


def _without_home(path: str) -> str:
    """A path that DVC watches: it does not know `~`."""
    if path.startswith("~"):
        raise PydanticCustomError(
            "home", "{path} begins with ~, which DVC does not know; write it out", {"path": path}
        )
    return path


def load_params(path: Path) -> Params:
    """Read and check a parameter file.

    Raises:
        HmerError: one line with every unknown key, missing key and value out of range.
    """
    return check_params(read_yaml(path), path.name)


def check_params(values: Mapping[str, Any], file: str) -> Params:
    """The same for values that have been read.

    Raises:
        HmerError: as `load_params`.
    """
    completed = dict(values)
    for name, field in Params.model_fields.items():
        key = field.alias or name
        kind = field.annotation
        if key in values and isinstance(kind, type) and issubclass(kind, BaseModel):
            completed[key] = inherit(values, key, kind)
    try:
        return Params.model_validate(completed)
    except ValidationError as error:
        raise HmerError(explain(error, Params, file)) from None
