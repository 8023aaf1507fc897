"""From a study to its experiments: every variant with every seed, as full parameters."""

from __future__ import annotations

import copy
import io
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from hmer.errors import HmerError
from pipeline.configurations import FOLDER, PARAMS, configure
from pipeline.params import check_params
from pipeline.sections import BASE
from pipeline.study.config import FOLDER as STUDIES
from pipeline.study.config import StudyConfig

FIXED = ("ingest", "evaluate")
"""Stages whose seed does not change with the training's: data and hidden ink stay the same."""


@dataclass(frozen=True)
class Experiment:
    """One variant with one seed."""

    study: str
    variant: str
    seed: int
    params: Mapping[str, Any] = field(repr=False)
    """Those of `params.yaml`, all sections."""
    text: str = field(repr=False)
    """The same, as the file."""
    raw: tuple[str, ...] = field(default=(), repr=False)
    """Files and folders with data that they name."""

    @property
    def name(self) -> str:
        """Of the DVC experiment."""
        return f"{self.study}-{self.variant}-{self.seed}"


def plan(
    root: Path,
    name: str,
    study: StudyConfig,
    seeds: Sequence[int] | None = None,
    settings: Sequence[str] = (),
) -> list[Experiment]:
    """All experiments of a study, seed by seed: a study cut short has whole tables of some seeds.

    Args:
        root: the project.
        name: the study's.
        study: its content.
        seeds: others than the study's.
        settings: `dotted.key=value` on the configuration, for instance where the data are.

    Raises:
        HmerError: parameters that are unknown or out of range, with the variant; data that are
            not there.
    """
    yaml = YAML()
    yaml.width = 100
    base = yaml.load(_configuration(root, study.configuration, settings))
    made = [
        _experiment(yaml, copy.deepcopy(base), name, study, variant, seed)
        for seed in (study.seeds if seeds is None else seeds)
        for variant in study.variants
    ]
    _check_raw(root, made)
    return made


def patched(values: Any, patch: Mapping[str, Any]) -> Any:
    """`values` after a merge patch (RFC 7396): mappings are merged, null removes, all else is put.

    `values` itself is changed, so that what it knows of its comments is kept.
    """
    for key, value in patch.items():
        if value is None:
            values.pop(key, None)
        elif isinstance(value, Mapping):
            if not isinstance(values.get(key), Mapping):
                values[key] = {}
            patched(values[key], value)
        else:
            values[key] = copy.deepcopy(value)
    return values


def _configuration(root: Path, name: str, settings: Sequence[str]) -> str:
    """The text of `params.yaml` for a named configuration, without touching the project's."""
    with tempfile.TemporaryDirectory(prefix="study-") as folder:
        (Path(folder) / FOLDER).symlink_to((root / FOLDER).resolve())
        configure(Path(folder), name, settings)
        return (Path(folder) / PARAMS).read_text(encoding="utf-8")


def _experiment(
    yaml: YAML, document: Any, name: str, study: StudyConfig, variant: str, seed: int
) -> Experiment:
    patched(document, study.settings)
    held = (document.get(BASE) or {}).get("seed", 0)
    for stage in FIXED:
        if "seed" not in (document.get(stage) or {}):
            patched(document, {stage: {"seed": held}})
    patched(document, {BASE: {"seed": seed}})
    patched(document, study.variants[variant].settings)
    checked = check_params(document, f"{STUDIES}/{name}.yaml, variant {variant}")
    buffer = io.StringIO()
    yaml.dump(document, buffer)
    params = YAML(typ="safe").load(buffer.getvalue())
    paths = tuple(dict.fromkeys([checked.raw, *checked.ingest.paths()]))
    return Experiment(name, variant, seed, params, buffer.getvalue(), paths)


def _check_raw(root: Path, experiments: Sequence[Experiment]) -> None:
    for path in dict.fromkeys(path for one in experiments for path in one.raw):
        if not (root / path).exists():
            raise HmerError(
                f"no data at {path}: put them there, or say where they are with --set "
                "raw=FOLDER and the paths of the source"
            )
