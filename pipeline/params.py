"""Sections of `params.yaml` as typed configurations, with errors a person can act on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hmer.errors import HmerError
from hmer.ink.render import RenderConfig

if TYPE_CHECKING:
    from ruamel.yaml import YAML


Config = TypeVar("Config", bound=BaseModel)

BASE = "base"
"""The section that others inherit from, described in `pipeline.params`."""
INHERITED = frozenset({"seed", "render"})
"""Its keys: a section that does not set one of them, and could, takes it from there."""
_DEEPEST = 64
"""Levels of a YAML file."""
_MOST = 500_000
"""Values of a YAML file, aliases followed."""


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML 1.2 file (as DVC reads it: `1e-3` is a number, `on` is a word).

    Raises:
        HmerError: missing, unreadable, not YAML, a key given twice, too deep, or not a mapping.
    """
    from ruamel.yaml import YAML

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise HmerError(f"{path.name} is missing: run from the project's folder") from None
    except UnicodeDecodeError as error:
        raise HmerError(f"{path.name} is not valid YAML: {error}; save it as UTF-8") from None
    except OSError as error:
        raise HmerError(f"{path.name} cannot be read ({error.strerror})") from None
    loaded = parse_yaml(YAML(typ="safe"), text, path.name)
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise HmerError(f"{path.name} must hold names and values, not a {type(loaded).__name__}")
    return loaded


def parse_yaml(yaml: YAML, text: str, name: str) -> Any:
    """What `yaml` makes of a text, which errors call `name`.

    Raises:
        HmerError: it is not YAML, nested beyond reason, or swells by aliases.
    """
    try:
        loaded = yaml.load(text)
    except RecursionError:
        raise HmerError(f"{name} is not valid YAML: nested too deep") from None
    except Exception as error:  # of the parser, or of the number or date it takes a value for
        reason = _one_line(error).partition("; use sys.")[0]  # a hint for programmers
        raise HmerError(f"{name} is not valid YAML: {reason}") from None
    level: list[Any] = [loaded]
    count = 0
    for _ in range(_DEEPEST):
        inner = [
            value
            for found in level
            if isinstance(found, dict | list)
            for value in (found.values() if isinstance(found, dict) else found)
        ]
        count += len(inner)
        if not inner:
            return loaded
        if count > _MOST:
            break
        level = inner
    raise HmerError(f"{name} is nested too deep, or repeats itself too often, for parameters")


def load_section(path: Path, name: str, config: type[Config]) -> Config:
    """One section of a parameter file, as the configuration it is for.

    Raises:
        HmerError: the section is missing, has an unknown key, or a value out of range.
    """
    values = read_yaml(path)
    if name not in values and _needs_values(config):
        raise HmerError(f"{path.name} has no section {name!r}")
    try:
        return config.model_validate(inherit(values, name, config))
    except ValidationError as error:
        raise HmerError(explain(error, config, path.name, name)) from None


def inherit(values: Mapping[str, Any], name: str, config: type[BaseModel]) -> Any:
    """The section `name`, completed with what `base` shares with it."""
    section = values.get(name)
    base = values.get(BASE)
    if name == BASE or not isinstance(base, dict) or not isinstance(section, dict | None):
        return {} if section is None else section
    shared = {key: base[key] for key in INHERITED & base.keys() if key in config.model_fields}
    return {**shared, **(section or {})}


def explain(error: ValidationError, config: type[BaseModel], file: str, prefix: str = "") -> str:
    """One line for all that is wrong: file, dotted key, value, and what is allowed."""
    told = []
    for problem in error.errors(include_url=False):
        location = [str(part) for part in problem["loc"]]
        key = ".".join(filter(None, [prefix, *location]))
        if problem["type"] == "extra_forbidden":
            told.append(f"{key} is not a parameter{_meant(config, location, key)}")
        elif problem["type"] == "missing":
            told.append(f"{key} is missing")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            value = _shown(problem["input"])
            told.append(f"{key}{value}: {message[:1].lower()}{message[1:]}")
    return f"{file}: " + "; ".join(told)


def did_you_mean(name: str, known: Sequence[str], prefix: str = "") -> str:
    """How a message about `name` ends: with the known name that was probably meant, if any."""
    from rapidfuzz import fuzz, process

    found = process.extractOne(name, known, scorer=fuzz.ratio, score_cutoff=60)
    return f"; did you mean {prefix}{found[0]}?" if found else ""


def named_files(folder: Path) -> list[str]:
    """Names of the YAML files in a folder, without their ending."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def read_named(folder: Path, name: str, kind: str) -> dict[str, Any]:
    """The file of that name; `kind` says what the folder has, for the message.

    Raises:
        HmerError: there is none, or as `read_yaml`.
    """
    known = named_files(folder)
    if name not in known:
        hint = did_you_mean(name, known)
        raise HmerError(f"no {kind} {name!r} among {', '.join(known) or 'none'}{hint}")
    return read_yaml(folder / f"{name}.yaml")


def lookup(values: Mapping[str, Any], key: str) -> Any:
    """The value under a dotted key.

    Raises:
        KeyError: there is none.
    """
    found: Any = values
    for part in key.split("."):
        if not isinstance(found, Mapping) or part not in found:
            raise KeyError(key)
        found = found[part]
    return found


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All (dotted key, value) pairs, in the order written."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _meant(config: type[BaseModel], location: list[str], key: str) -> str:
    owner: Any = config
    for part in location[:-1]:
        field = owner.model_fields.get(part)
        owner = next(iter(models_in(field.annotation)), None) if field else None
        if owner is None:
            return ""
    known = list(owner.model_fields)
    meant = did_you_mean(location[-1], known, key[: key.rfind(".") + 1])
    return meant or (f" (known: {', '.join(known)})" if known else "")


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models among the types that an annotation is made of."""
    from typing import get_args

    here = [annotation] if is_model(annotation) else []
    return here + [model for part in get_args(annotation) for model in models_in(part)]


def is_model(kind: Any) -> bool:
    """Whether a type is a model of pydantic's."""
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _needs_values(config: type[BaseModel]) -> bool:
    return any(field.is_required() for field in config.model_fields.values())


def _shown(value: Any) -> str:
    """A wrong value as it is told; a whole section is not."""
    if isinstance(value, Mapping | BaseModel):
        return ""
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        text = "a number of thousands of digits"
    return f" = {text if len(text) <= 80 else text[:77] + '...'}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


class BaseConfig(BaseModel):
    """A stage's own section inherits those keys of it that its configuration has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(
        default=0, ge=0, lt=2**31, description="of everything that is drawn at random"
    )
    render: RenderConfig = Field(default_factory=RenderConfig)
