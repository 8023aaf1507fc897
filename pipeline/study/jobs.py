"""Child processes of a study: started, watched, and never left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.flow.process import end_group

POLL = 0.1
EXCEPTION = re.compile(r"[A-Za-z_.]+(Error|Exception)\b(: |$)")
"""The last line of a traceback."""


@dataclass
class Job:
    """A command at work, in a process group of its own."""

    child: subprocess.Popen[bytes]
    log: Path
    start: int
    """Where in the log its own lines begin."""
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def launch(
        cls, command: Sequence[str], cwd: Path, log: Path, environment: Mapping[str, str]
    ) -> Job:
        """Start a command whose output goes to the end of a log."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            start = file.tell()
            child = subprocess.Popen(
                command,
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(child, log, start)

    @property
    def seconds(self) -> float:
        """Since its start."""
        return time.monotonic() - self.began

    def told(self) -> str:
        """What it has said."""
        with self.log.open("rb") as file:
            file.seek(self.start)
            return file.read().decode("utf-8", errors="replace")

    def reason(self) -> str:
        """Why it failed, in a line: the stage's own words where it had any."""
        lines = [line.strip() for line in self.told().splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("error: ")]
        raised = [line for line in lines if EXCEPTION.match(line)]
        failed = [line for line in lines if line.startswith("ERROR: ")]
        best = (errors or raised or failed or lines or [f"code {self.child.returncode}"])[-1]
        return best.removeprefix("error: ").removeprefix("ERROR: ")


def wait_any(jobs: Sequence[Job]) -> list[Job]:
    """Wait until some have ended."""
    while True:
        ended = [job for job in jobs if job.child.poll() is not None]
        if ended:
            return ended
        time.sleep(POLL)


def end_all(jobs: Sequence[Job]) -> None:
    """End all of them with what they have started: asked all at once, then made sure one by one."""
    for job in jobs[1:]:
        try:
            os.killpg(job.child.pid, signal.SIGINT)
        except (ProcessLookupError, PermissionError):
            continue
    for job in jobs:
        end_group(job.child)
