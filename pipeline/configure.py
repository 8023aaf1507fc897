"""The whole of `params.yaml`: typed, checked, and written from named configurations and settings.

A stage reads its own section only (`Stage.config`), so that it depends on its own code only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path, PurePosixPath
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

import pipeline.stages
from hmer.errors import HmerError
from hmer.evaluation.evaluate import EvaluateConfig
from hmer.files import atomic_file
from hmer.ingest.ingest import IngestConfig
from hmer.models.registry import ModelConfig
from hmer.selfsup.attend import AttendConfig
from hmer.selfsup.pretrain import PretrainConfig
from hmer.training.finetune import FinetuneConfig
from pipeline.dvcfile import PARAMS
from pipeline.flow.config import FlowConfig
from pipeline.gate.expectations import ValidateConfig
from pipeline.monitor import MonitorConfig
from pipeline.params import (
    BaseConfig,
    did_you_mean,
    explain,
    inherit,
    models_in,
    parse_yaml,
    read_named,
    read_yaml,
)
from pipeline.registry.decision import RegisterConfig
from pipeline.registry.versions import FOLDER as CHAMPION
from pipeline.stages.plan import StartConfig

if TYPE_CHECKING:
    from ruamel.yaml import YAML


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
                hint = did_you_mean(name, stages) or f" ({', '.join(stages)})"
                raise ValueError(f"limits: there is no stage {name!r}{hint}")
        return config

    @field_validator("finetune")
    @classmethod
    def _starts_from_what_stays(cls, config: FinetuneConfig) -> FinetuneConfig:
        if config.start is None:
            return config
        _without_home(config.start)
        if config.init != "auto" and StartConfig(start=config.start).goes_on:
            raise ValueError(
                f"start is {config.start}, so nothing is taken from the phases before; leave init "
                "at auto"
            )
        if PurePosixPath(config.start).is_relative_to(CHAMPION):
            raise ValueError(
                f"start is {config.start}, which a run replaces, so that it would be trained anew "
                "for ever; copy it to a folder of your own and name that"
            )
        return config


def _without_home(path: str) -> str:
    """A path that DVC watches: it does not know `~`."""
    if path.startswith("~"):
        raise ValueError(f"{path} begins with ~, which DVC does not know; write it out")
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
        if key in values and (models := models_in(field.annotation)):
            completed[key] = inherit(values, key, models[0])
    try:
        return Params.model_validate(completed)
    except ValidationError as error:
        raise HmerError(explain(error, Params, file)) from None


FOLDER = "configs"
DEFAULT = "default"


def configure(root: Path, name: str | None, settings: Sequence[str] = ()) -> None:
    """Write `params.yaml`: the default, patched by a named configuration, then by settings.

    Comments of the default are kept. Nothing is written unless all of it is valid.

    Args:
        root: the project.
        name: a file in `configs/` without its ending; None starts from `params.yaml` as it is.
        settings: `dotted.key=value`, the value in YAML.

    Raises:
        HmerError: no such configuration, an unknown key, a value out of range.
    """
    yaml, document = composed(root, name, settings)
    with atomic_file(root / PARAMS) as partial, partial.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)


def composed(root: Path, name: str | None, settings: Sequence[str] = ()) -> tuple[YAML, Any]:
    """What `configure` writes, checked, and the writer that keeps its comments.

    Raises:
        HmerError: as `configure`.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap

    start = PARAMS if name is None else f"{FOLDER}/{DEFAULT}.yaml"
    yaml = YAML()
    yaml.width = 100
    read_yaml(root / start)  # for its error messages
    document = parse_yaml(yaml, (root / start).read_text(encoding="utf-8"), start) or CommentedMap()
    if name is not None and name != DEFAULT:
        merge(document, read_named(root / FOLDER, name, "configuration"))
    for setting in settings:
        merge(document, _setting(setting))
    check_params(document, PARAMS)
    return yaml, document


def merge(document: Any, patch: Mapping[str, Any], null_removes: bool = False) -> Any:
    """Put `patch` into `document`, which is changed so that its comments are kept, and returned.

    Mappings are merged, all else is replaced; `null_removes` makes it a merge patch (RFC 7396).
    """
    for key, value in patch.items():
        if value is None and null_removes:
            document.pop(key, None)
        elif isinstance(value, Mapping):
            if not isinstance(document.get(key), Mapping):
                document[key] = {}
            merge(document[key], value, null_removes)
        else:
            document[key] = deepcopy(value)
    return document


def _setting(setting: str) -> dict[str, Any]:
    from ruamel.yaml import YAML

    key, equals, text = setting.partition("=")
    if not equals or not all(key.split(".")):
        raise HmerError(f"{setting!r}: expected dotted.key=value")
    value = parse_yaml(YAML(typ="safe"), text, f"{setting[:80]!r}: the value")
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def prepare(root: Path, config: str | None, settings: tuple[str, ...]) -> None:
    """Write the parameters that are asked for, and check all of them before anything runs.

    Raises:
        HmerError: they are wrong.
    """
    if config is None and not settings:
        load_params(root / PARAMS)
    else:
        configure(root, config, settings)
