"""Named configurations: patches on the default parameters, written to `params.yaml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hmer.errors import HmerError
from hmer.files import atomic_file
from pipeline.params import check_params
from pipeline.sections import closest, parse_yaml, read_yaml

if TYPE_CHECKING:
    from ruamel.yaml import YAML

FOLDER = "configs"
DEFAULT = "default"
PARAMS = "params.yaml"


def configurations(root: Path) -> list[str]:
    """Names of what is in `configs/`."""
    return sorted(path.stem for path in (root / FOLDER).glob("*.yaml"))


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
    yaml, document = _composed(root, name, settings)
    with atomic_file(root / PARAMS) as partial, partial.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)


def check_configuration(root: Path, name: str | None, settings: Sequence[str] = ()) -> None:
    """The errors of `configure`, without writing anything."""
    _composed(root, name, settings)


def _composed(root: Path, name: str | None, settings: Sequence[str]) -> tuple[YAML, Any]:
    """What `configure` writes, checked, and the writer that keeps its comments."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap

    start = PARAMS if name is None else f"{FOLDER}/{DEFAULT}.yaml"
    yaml = YAML()
    yaml.width = 100
    read_yaml(root / start)  # for its error messages
    document = parse_yaml(yaml, (root / start).read_text(encoding="utf-8"), start) or CommentedMap()
    if name is not None and name != DEFAULT:
        merge(document, _patch(root, name))
    for setting in settings:
        merge(document, _setting(setting))
    check_params(document, PARAMS)
    return yaml, document


def merge(document: Any, patch: Mapping[str, Any]) -> None:
    """Put the values of `patch` into `document`: mappings are merged, all else is replaced."""
    for key, value in patch.items():
        if isinstance(value, Mapping) and isinstance(document.get(key), Mapping):
            merge(document[key], value)
        else:
            document[key] = value


def _patch(root: Path, name: str) -> dict[str, Any]:
    known = configurations(root)
    if name not in known:
        meant = closest(name, known)
        hint = f"; did you mean {meant}?" if meant else ""
        raise HmerError(f"no configuration {name!r} among {', '.join(known) or 'none'}{hint}")
    return read_yaml(root / FOLDER / f"{name}.yaml")


def _setting(setting: str) -> dict[str, Any]:
    from ruamel.yaml import YAML

    key, equals, text = setting.partition("=")
    if not equals or not all(key.split(".")):
        raise HmerError(f"{setting!r}: expected dotted.key=value")
    value = parse_yaml(YAML(typ="safe"), text, f"{setting[:80]!r}: the value")
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)
