"""What every stage does around its one call of the library.

A stage gets its own section of `params.yaml` and its declared inputs only, publishes its outputs
whole, tracks the run, and keeps resume state. How it is started and how it ends is in
`pipeline.launch`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hmer.errors import HmerError
from hmer.files import atomic_file, atomic_folder
from pipeline.declaration import PARAMS, Declaration
from pipeline.interruption import Interruption
from pipeline.resume import fingerprint, forget, resume_folder
from pipeline.sections import BASE, INHERITED, Config, leaves, load_section, read_yaml

if TYPE_CHECKING:
    from pipeline.tracking.tracker import Tracker


@dataclass
class Stage:
    """A stage at work, and the only door to its parameters and files."""

    name: str
    root: Path
    declared: Declaration
    interruption: Interruption = field(default_factory=Interruption)

    @property
    def progress(self) -> bool:
        """Whether progress should be shown (`HMER_PROGRESS=0` silences it)."""
        return os.environ.get("HMER_PROGRESS", "1") != "0"

    def config(self, model: type[Config], section: str | None = None) -> Config:
        """This stage's section of `params.yaml`, or another one that it declares.

        Raises:
            HmerError: unknown key, or a value out of range.
            ValueError: the section is not declared in `dvc.yaml`.
        """
        section = section or self.name
        read = {section}
        if section != BASE and not INHERITED.isdisjoint(model.model_fields):
            read.add(BASE)
        if missing := sorted(read - set(self.declared.params)):
            raise ValueError(f"dvc.yaml: stage {self.name} does not declare params {missing}")
        return load_section(self.root / PARAMS, section, model)

    def input(self, path: str) -> Path:
        """A declared input, which is there.

        Raises:
            HmerError: it is missing.
            ValueError: it is not declared in `dvc.yaml`.
        """
        if not self.declared.reads(path):
            raise ValueError(f"dvc.yaml: {path} is not among the deps of stage {self.name}")
        if not (self.root / path).exists():
            raise HmerError(f"{path} is missing: run `dvc repro {self.name}`, which makes it")
        return self.root / path

    def raw(self, path: str) -> Path:
        """Raw data named in the parameters: a declared input too, by way of the key `raw`.

        Raises:
            HmerError: it is missing, or lies outside the folder that DVC watches.
        """
        found = (self.root / path).resolve()
        watched = [(self.root / dep).resolve() for dep in self.declared.deps]
        if not any(found.is_relative_to(folder) for folder in watched):
            raise HmerError(
                f"{PARAMS}: {path} lies outside the folder that DVC watches for changes; set "
                "`raw` to the folder it is in"
            )
        if not found.exists():
            raise HmerError(f"{PARAMS}: {path} does not exist")
        return found

    @contextmanager
    def outputs(self, path: str) -> Iterator[Path]:
        """A folder to fill, published as the declared output `path` when the block ends well."""
        with atomic_folder(self._output(path)) as partial:
            yield partial

    @contextmanager
    def output_file(self, path: str) -> Iterator[Path]:
        """The same for a single file."""
        with atomic_file(self._output(path)) as partial:
            yield partial

    @contextmanager
    def tracked(self, config: Mapping[str, Any] | Any) -> Iterator[Tracker]:
        """An MLflow run around the block, opened before any work is done.

        Raises:
            TrackingError: the tracking server does not answer.
        """
        from pipeline.tracking.runs import stage_run

        with stage_run(self, dict(leaves(_plain(config)))) as tracker:
            yield tracker

    @cached_property
    def fingerprint(self) -> str:
        """Of the parameters, data and code that this stage declares."""
        return fingerprint(self.declared, read_yaml(self.root / PARAMS), self.root)

    @cached_property
    def resume(self) -> Path:
        """Folder for resume state; kept when the stage is interrupted, removed when it ends."""
        return resume_folder(self.root, self.name, self.fingerprint)

    def end(self) -> None:
        """Forget the resume state, if there is any."""
        if "resume" in self.__dict__:
            forget(self.resume)

    def _output(self, path: str) -> Path:
        if not self.declared.writes(path):
            raise ValueError(f"dvc.yaml: {path} is not among the outs of stage {self.name}")
        return self.root / path


def _plain(config: Any) -> Mapping[str, Any]:
    return config if isinstance(config, Mapping) else config.model_dump(mode="json")
