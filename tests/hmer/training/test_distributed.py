"""Two processes train what one would have trained."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from hmer.training.module import from_first, gathered
from hmer.training.optimisation import OptimisationConfig

PRETRAIN = """
import os, sys
from pathlib import Path

from hmer.data.batches import BatchConfig
from hmer.ink.render import RenderConfig
from hmer.models.common.encoders import CompactConfig
from hmer.selfsup.pretrain import PretrainConfig, pretrain
from hmer.training.optimisation import OptimisationConfig
from hmer.training.fit import RunContext

if __name__ == "__main__":
    train, folder, devices = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    config = PretrainConfig(
        encoder=CompactConfig(width=8, blocks=(1, 1, 1)),
        optimisation=OptimisationConfig(
            steps=4, leg=2, precision="32-true", workers=0, batches=2,
            accelerator="cpu", devices=devices,
        ),
        batch=BatchConfig(max_count=4, buckets=2),
        collapse=0.0,
    )
    out = folder / ("out" + os.environ.get("LOCAL_RANK", "0"))
    out.mkdir()
    run = RunContext(folder / "resume", progress=False)
    pretrain(config, RenderConfig(unit=10), train, out, run, 0)
"""


def run(
    program: str, dataset: Path, folder: Path, devices: int
) -> subprocess.CompletedProcess[str]:
    folder.mkdir()
    script = folder / "train.py"
    script.write_text(program)
    mine = {k: v for k, v in os.environ.items() if not k.endswith("RANK")}
    return subprocess.run(
        [sys.executable, str(script), str(dataset / "train.parquet"), str(folder), str(devices)],
        env={**mine, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )


def trained(dataset: Path, folder: Path, devices: int) -> Path:
    done = run(PRETRAIN, dataset, folder, devices)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_two_processes_train_what_one_trains(small_dataset: Path, tmp_path: Path) -> None:
    one = trained(small_dataset, tmp_path / "one", 1)
    two = trained(small_dataset, tmp_path / "two", 2)
    assert not (one / "out1").exists() and (two / "out1").exists(), "there were not two"
    alone, first, second = (
        load_file(folder / "encoder.safetensors")
        for folder in (one / "out0", two / "out0", two / "out1")
    )
    for name, weight in alone.items():
        if "running" in name or "num_batches" in name:
            continue  # of the first process's batches only
        torch.testing.assert_close(first[name], weight, rtol=1e-4, atol=1e-6)
        assert torch.equal(first[name], second[name]), name
    assert not torch.equal(first["stem.0.weight"], torch.zeros_like(first["stem.0.weight"]))
    mine, theirs = (
        list(csv.DictReader((folder / "out0/curves.csv").open())) for folder in (one, two)
    )
    assert len(mine) == 2
    for row, other in zip(mine, theirs, strict=True):
        assert {k: pytest.approx(float(v), rel=1e-3) for k, v in row.items()} == {
            k: float(v) for k, v in other.items()
        }
    assert (two / "out0/curves.csv").read_bytes() == (two / "out1/curves.csv").read_bytes()
    assert json.loads((two / "out0/metrics.json").read_text())
    assert [path.name for path in (two / "resume").iterdir()] == ["last.ckpt"]


DIVERGES = PRETRAIN.replace(
    "import os, sys\n",
    """
import os, sys

import torch
from hmer.selfsup.pretrain import Contrast

losses = Contrast.losses

def spoilt(self, batch):  # in the second step of the second process
    found, measured = losses(self, batch)
    wrong = self.trainer.global_rank == 1 and self.global_step == 1
    return {k: v * float("nan") if wrong else v for k, v in found.items()}, measured

Contrast.losses = spoilt
""",
)


@pytest.mark.slow
def test_a_loss_that_is_no_number_in_one_process_ends_all(
    small_dataset: Path, tmp_path: Path
) -> None:
    done = run(DIVERGES, small_dataset, tmp_path / "two", 2)
    assert done.returncode != 0
    assert "the loss became nan at step 1" in done.stderr


def test_batches_must_be_shared_evenly() -> None:
    assert OptimisationConfig(steps=1, batches=8, devices=2, nodes=2).processes == 4
    with pytest.raises(ValidationError, match=r"batches = 3 cannot be shared by 2 processes"):
        OptimisationConfig(steps=1, batches=3, devices=2)


def test_alone_there_is_nobody_to_agree_with() -> None:
    assert gathered(3) == [3]
    assert from_first(lambda: "mine") == "mine"


AGREE = """
import sys
import torch.distributed as dist
from hmer.training.module import from_first, gathered

rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method=f"file://{sys.argv[2]}", rank=rank, world_size=2)
print(gathered(float("nan") if rank else 0.5), from_first(lambda: f"by {rank}"))
dist.destroy_process_group()
"""


def test_two_processes_agree(tmp_path: Path) -> None:
    command = [sys.executable, "-c", AGREE]
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(tmp_path / "meeting")], stdout=subprocess.PIPE, text=True
        )
        for rank in (0, 1)
    ]
    found = [process.communicate(timeout=300)[0] for process in processes]
    assert found == ["[0.5, nan] by 0\n"] * 2
