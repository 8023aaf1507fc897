"""Stage `plan`: which self-supervised phases the recogniser needs, and the code it is made of.

Later stages depend on these small files in place of the section `model` and of the code of every
recogniser. So a larger decoder does not train the encoder again, and a change in `bttr` trains no
`comer`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from hmer.errors import HmerError
from hmer.files import content_digest
from pipeline.stage import Stage, run_stage

if TYPE_CHECKING:
    from hmer.models.registry import ModelConfig

FOLDER = "data/plan"
PHASES = {"pretrain": "encoder", "attend": "attention"}
"""Self-supervised phases, and what each of them trains."""
EMPTY = (2).to_bytes(8, "little") + b"{}"
"""A safetensors file without a tensor."""


class StartConfig(BaseModel):
    """What fine-tuning starts from: all that is read here of its section."""

    init: str = "auto"
    start: str = "data/models/attend"

    @property
    def goes_on(self) -> bool:
        """Whether it starts from a trained recogniser, not from the phases before."""
        return self.start != StartConfig().start


class Phase(BaseModel):
    """Whether a phase has to be run; if not, why."""

    needed: bool
    reason: str = ""


def main(stage: Stage) -> None:
    """Parameters and code of the recognisers in, small files out."""
    from hmer.models.registry import RECOGNISERS, ModelConfig

    choice = stage.config(ModelConfig, "model")
    start = stage.config(StartConfig, "finetune")
    code = model_code(stage.input("hmer/models"), choice.name, list(RECOGNISERS))
    with stage.outputs(FOLDER) as out:
        for name, phase in phases(choice, start).items():
            (out / f"{name}.json").write_text(phase.model_dump_json() + "\n", encoding="utf-8")
        text = json.dumps({"name": choice.name, "code": code}, indent=2)
        (out / "recogniser.json").write_text(text + "\n", encoding="utf-8")


def phases(choice: ModelConfig, start: StartConfig) -> dict[str, Phase]:
    """Each phase with whether fine-tuning takes weights from it."""
    settings = choice.settings
    encoder = getattr(getattr(settings, "encoder", None), "name", None)
    attends = "attention" in type(settings).model_fields
    if start.goes_on:
        reason = f"fine-tuning goes on from {start.start}"
        return {name: Phase(needed=False, reason=reason) for name in PHASES}
    wanted = start.init
    if wanted == "auto":
        wanted = "scratch" if encoder != "compact" else "attend" if attends else "pretrain"
    reason = f"finetune.init is {start.init}"
    if start.init == "auto":
        reason += f", and {choice.name} has another encoder or no attention network"
    return {
        "pretrain": Phase(needed=wanted != "scratch", reason=reason if wanted == "scratch" else ""),
        "attend": Phase(needed=wanted == "attend", reason=reason if wanted != "attend" else ""),
    }


def model_code(folder: Path, name: str, names: list[str]) -> str:
    """SHA-256 over the code in `folder` but for recognisers that are neither `name` nor its parts.

    Args:
        folder: `hmer/models`, where each recogniser is a package or module of its own.
        name: the chosen recogniser.
        names: of all of them.
    """
    from pipeline.imports import imported

    modules = {other: other.replace("-", "_") for other in names}
    chosen, waiting = set[str](), [modules[name]]
    while waiting:  # a recogniser may build on another
        module = waiting.pop()
        chosen.add(module)
        for file in _files(folder, module):
            dotted = ".".join(file.relative_to(folder.parents[1]).with_suffix("").parts)
            reached = {other.split(".")[2] for other in imported(file, dotted) if _inside(other)}
            waiting += (reached & set(modules.values())) - chosen
    left_out = {file for m in modules.values() if m not in chosen for file in _files(folder, m)}
    files = [file for file in sorted(folder.rglob("*.py")) if file not in left_out]
    parts = [[file.relative_to(folder).as_posix(), content_digest(file)] for file in files]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _files(folder: Path, module: str) -> list[Path]:
    found = [folder / f"{module}.py", *(folder / module).rglob("*.py")]
    return [file for file in found if file.is_file()]


def _inside(dotted: str) -> bool:
    return dotted.startswith("hmer.models.")


def skipped(stage: Stage) -> bool:
    """Whether a phase (`pretrain`, `attend`) is not needed; then its output is written untrained.

    The output says how large the network is, for a recogniser that has one with fresh weights.
    """
    plan = stage.input(f"{FOLDER}/{stage.name}.json")
    try:
        phase = Phase.model_validate_json(plan.read_bytes())
    except ValueError:
        raise HmerError(f"{plan}: damaged; run `dvc repro --force plan`") from None
    if phase.needed:
        return False
    part = PHASES[stage.name]
    with stage.outputs(f"data/models/{stage.name}") as out:
        about = {"kind": part, "config": stage.section().get(part) or {}, "trained": False}
        (out / f"{part}.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        (out / f"{part}.safetensors").write_bytes(EMPTY)
        (out / "metrics.json").write_text("{}\n", encoding="utf-8")
    sys.stdout.write(f"{stage.name}: not needed: {phase.reason}\n")
    return True


if __name__ == "__main__":
    run_stage("plan", main)
