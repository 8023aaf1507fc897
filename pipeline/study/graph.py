"""What has to be computed for a set of experiments: every stage once, however many share it."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hmer.errors import HmerError
from pipeline.declaration import PARAMS, TEMPLATE, Declaration, declarations
from pipeline.resume import content_digest
from pipeline.sections import BASE, lookup, read_yaml
from pipeline.study.plan import Experiment
from pipeline.study.snapshot import Snapshot
from pipeline.tracking.provenance import RAW, ancestors, upstream, within

DEFINITION = "dvc.yaml"


@dataclass
class Work:
    """One stage with one set of inputs, for all experiments that need it."""

    key: str
    """Of parameters, code and data: what DVC's run cache tells apart is told apart here."""
    stage: str
    needs: frozenset[str]
    """Keys of the stages before."""
    like: str
    """Stages that may turn out to be the same share it: they are not run at the same time."""
    experiments: list[Experiment] = field(default_factory=list)


@dataclass(frozen=True)
class Graph:
    """All work of some experiments, and which experiment needs what."""

    work: Mapping[str, Work]
    needs: Mapping[str, Mapping[str, str]]
    """By the experiment's name: stage to key, in the order in which they are run."""
    settings: Mapping[str, str]
    """By the experiment's name: digest of the parameters that matter."""
    code: str
    """Digest of the code and the raw data."""


def graph(root: Path, snapshot: Snapshot, target: str, experiments: Sequence[Experiment]) -> Graph:
    """The work of the experiments, up to the stage `target`.

    Raises:
        HmerError: no such stage.
    """
    pipelines: dict[tuple[str, ...], _Pipeline] = {}
    templates = _templates(root)
    work: dict[str, Work] = {}
    needs: dict[str, dict[str, str]] = {}
    settings: dict[str, str] = {}
    for experiment in experiments:
        filled = tuple(str(_value(experiment.params, key)) for key in templates)
        if filled not in pipelines:
            pipelines[filled] = _Pipeline.read(root, snapshot, target, experiment)
        pipeline = pipelines[filled]
        needs[experiment.name] = _add(pipeline, experiment, work)
        parameters = {s: _parameters(pipeline, s, experiment.params) for s in pipeline.order}
        settings[experiment.name] = _hash(parameters)
    codes = sorted(_hash(list(pipeline.inputs.values())) for pipeline in pipelines.values())
    return Graph(work, needs, settings, _hash(codes))


def stages_up_to(declared: Mapping[str, Declaration], target: str) -> list[str]:
    """The stage and all it rests on, every stage after those it needs.

    Raises:
        HmerError: no such stage.
    """
    if target not in declared:
        raise HmerError(f"dvc.yaml has no stage {target!r}, only {', '.join(declared)}")
    below = {name: ancestors(declared, name) for name in ancestors(declared, target) | {target}}
    return sorted(below, key=lambda name: (len(below[name]), name))


@dataclass(frozen=True)
class _Pipeline:
    """The stages as they read with some parameters: only templates in `dvc.yaml` change them."""

    order: Sequence[str]
    before: Mapping[str, Sequence[str]]
    params: Mapping[str, Sequence[str]]
    inputs: Mapping[str, str]
    """By stage: digest of what it reads that no stage has written, code and raw data."""

    @classmethod
    def read(cls, root: Path, snapshot: Snapshot, target: str, experiment: Experiment) -> _Pipeline:
        with tempfile.TemporaryDirectory(prefix="study-") as folder:
            shutil.copy(root / DEFINITION, folder)
            (Path(folder) / PARAMS).write_text(experiment.text, encoding="utf-8")
            declared = declarations(Path(folder))
        order = stages_up_to(declared, target)
        above = upstream(declared)
        outs = [out for other in declared.values() for out in other.outs]
        raw = str(_value(experiment.params, RAW))
        commands = read_yaml(root / DEFINITION)["stages"]
        inputs = {}
        for stage in order:
            deps = [dep for dep in declared[stage].deps if not within(dep, outs)]
            code = snapshot.digest(dep for dep in deps if dep != raw)
            data = content_digest(root / raw) if raw in deps else None
            inputs[stage] = _hash([commands[stage]["cmd"], code, data])
        return cls(
            order,
            {stage: sorted(above[stage]) for stage in order},
            {stage: declared[stage].params for stage in order},
            inputs,
        )


def _add(pipeline: _Pipeline, experiment: Experiment, work: dict[str, Work]) -> dict[str, str]:
    """Note what an experiment needs; its stages with their keys."""
    keys: dict[str, str] = {}
    likes: dict[str, str] = {}
    for stage in pipeline.order:
        code, before = pipeline.inputs[stage], pipeline.before[stage]
        parameters = _parameters(pipeline, stage, experiment.params)
        alike = _without_overridden(parameters, experiment.params.get(stage) or {})
        keys[stage] = _hash([stage, code, parameters, [keys[name] for name in before]])
        likes[stage] = _hash([stage, code, alike, [likes[name] for name in before]])
        needed = frozenset(keys[name] for name in before)
        found = work.setdefault(keys[stage], Work(keys[stage], stage, needed, likes[stage]))
        found.experiments.append(experiment)
    return keys


def _templates(root: Path) -> list[str]:
    """The parameters that `dvc.yaml` mentions."""
    return sorted(set(TEMPLATE.findall((root / DEFINITION).read_text(encoding="utf-8"))))


def _parameters(pipeline: _Pipeline, stage: str, params: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _value(params, key) for key in pipeline.params[stage]}


def _value(params: Mapping[str, Any], key: str) -> Any:
    try:
        return lookup(params, key)
    except KeyError:
        return None


def _without_overridden(parameters: Mapping[str, Any], own: Mapping[str, Any]) -> Mapping[str, Any]:
    """Less what the stage does not take from `base`, because its own section has it."""
    shared = parameters.get(BASE)
    if not isinstance(shared, dict):
        return parameters
    return {**parameters, BASE: {key: shared[key] for key in shared if key not in own}}


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
