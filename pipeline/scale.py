"""A stage in a process that only helps: one of several that train one model.

Every process of a distributed training runs the same stage, started by Lightning (further devices
of this machine) or by torchrun or Slurm (other machines):

    torchrun --nnodes 2 --nproc-per-node 4 ... -m pipeline.stages.finetune

The first process is the stage that DVC knows. It holds the lock, tells MLflow, and publishes the
outputs. The others read the same parameters and inputs, share the folder with the checkpoint, and
throw away what they write.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pipeline.resume import resume_folder
from pipeline.stage import Stage

if TYPE_CHECKING:
    from pipeline.tracking.tracker import Tracker


class Silent:
    """Takes everything a tracker takes, and tells nobody."""

    logger = None

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


class HelperStage(Stage):
    """A stage whose outputs go nowhere."""

    @property
    def progress(self) -> bool:
        """The first process shows it."""
        return False

    @contextmanager
    def outputs(self, path: str) -> Iterator[Path]:
        """A folder to fill, which is then removed."""
        self._output(path)
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)

    @contextmanager
    def output_file(self, path: str) -> Iterator[Path]:
        """A file to write, which is then removed."""
        with self.outputs(path) as folder:
            yield folder / Path(path).name

    @contextmanager
    def tracked(self, config: Mapping[str, Any] | Any) -> Iterator[Tracker]:
        """No run: the first process has one."""
        yield cast("Tracker", Silent())

    @cached_property
    def resume(self) -> Path:
        """The folder of the first process, which alone removes older ones."""
        return resume_folder(self.root, self.name, self.fingerprint, prune=False)

    def end(self) -> None:
        """The resume state belongs to the first process."""
