"""A small data set, and the three trainings at the size of a toy.

What is heavy is imported where it is used: most tests need none of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("quick", deadline=None, max_examples=30)
settings.register_profile("thorough", deadline=None, max_examples=300)
settings.load_profile("thorough" if "HMER_SLOW" in os.environ else "quick")

# There are as many test processes as cores: threads within them would wait for each other, which
# makes small operations many times slower. Before torch is imported, and inherited by stages.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, so that no core is idle at the end; the slow tier only where asked for."""
    long = {item.path for item in items if item.get_closest_marker("medium")}
    items.sort(key=lambda item: item.path not in long)
    if "HMER_SLOW" not in os.environ:
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow: set HMER_SLOW=1"))


PHASES = ("pretrain", "attend", "finetune")
Train = Callable[..., dict[str, float]]


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 24 training, 6 validation and 6 test expressions, drawn at unit 10."""
    from hmer.ingest.ingest import IngestConfig, ingest
    from hmer.ingest.sources.synthetic import Synthetic
    from hmer.ink.render import RenderConfig

    out = tmp_path_factory.mktemp("data") / "dataset"
    source = Synthetic(train=24, val=6, test=6)
    ingest(IngestConfig(synthetic=source, workers=1, render=RenderConfig(unit=10)), out)
    return out


@pytest.fixture(scope="session")
def picture_dataset(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without ink."""
    from tests.samples import read_samples, write_samples

    out = tmp_path_factory.mktemp("pictures")
    for split in ("train", "val"):
        samples = read_samples(small_dataset / f"{split}.parquet")
        bare = [replace(s, ink=None, strokes=0, symbol_boxes=None) for s in samples]
        write_samples(out / f"{split}.parquet", bare)
    (out / "vocabulary.json").write_bytes((small_dataset / "vocabulary.json").read_bytes())
    return out


@pytest.fixture(scope="session")
def unlabelled_dataset(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without a single caption."""
    from tests.samples import read_samples, write_samples

    out = tmp_path_factory.mktemp("unlabelled")
    for split in ("train", "val"):
        samples = read_samples(small_dataset / f"{split}.parquet")
        bare = [replace(s, latex="", tokens=(), symbol_boxes=None) for s in samples]
        write_samples(out / f"{split}.parquet", bare)
    return out


TINY_MODEL = {"decoder": {"layers": 1, "width": 16, "heads": 2, "feedforward": 32}}
"""Section `model` for the third phase."""


def tiny_config(phase: str) -> Any:
    """Three legs of two steps, on networks with next to no weights."""
    from hmer.data.batches import BatchConfig
    from hmer.models.common.attention import AttentionConfig
    from hmer.models.common.encoders import CompactConfig
    from hmer.selfsup.attend import AttendConfig
    from hmer.selfsup.pretrain import PretrainConfig
    from hmer.training.finetune import FinetuneConfig
    from hmer.training.optimisation import OptimisationConfig

    optimisation = OptimisationConfig(
        steps=6, leg=2, learning_rate=3e-3, warmup=0.2, precision="32-true", workers=0
    )
    batch = BatchConfig(max_count=4, buckets=3)
    if phase == "pretrain":
        encoder = CompactConfig(width=16, blocks=(1, 1, 1))
        return PretrainConfig(
            encoder=encoder, optimisation=optimisation, batch=batch, points=6, collapse=0.0,
        )  # fmt: skip
    if phase == "attend":
        attention = AttentionConfig(heads=2, hidden=8)
        return AttendConfig(attention=attention, optimisation=optimisation, batch=batch)
    return FinetuneConfig(optimisation=optimisation, batch=batch, validate_on=4, average=0.5)


def run_phase(
    phase: str,
    data: Path,
    before: Path,
    folder: Path,
    *,
    model: Mapping[str, Any] = TINY_MODEL,
    **changes: Any,
) -> dict[str, float]:
    """Train `phase` into `folder`, with its resume state in `folder / "resume"`."""
    from hmer.ink.render import RenderConfig
    from hmer.models.registry import ModelConfig
    from hmer.selfsup.attend import attend
    from hmer.selfsup.pretrain import pretrain
    from hmer.training.finetune import finetune
    from hmer.training.fit import RunContext

    config, render = tiny_config(phase).model_copy(update=changes), RenderConfig(unit=10)
    folder.mkdir(parents=True, exist_ok=True)
    run = RunContext(folder / "resume", progress=False)
    encoder = before / "pretrain" / "encoder.safetensors"
    attention = before / "attend" / "attention.safetensors"
    if phase == "pretrain":
        return pretrain(config, render, data / "train.parquet", folder, run, 3)
    if phase == "attend":
        show = data / "val.parquet"
        return attend(config, render, data / "train.parquet", encoder, folder, run, 3, show)
    choice = ModelConfig.model_validate(model)
    start = Path(config.start) if config.start else None
    return finetune(config, choice, render, data, encoder, attention, start, folder, run, 3)


@pytest.fixture(scope="session")
def finished(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the results of all three trainings, never interrupted, by phase."""
    folder = tmp_path_factory.mktemp("finished")
    for phase in PHASES:
        run_phase(phase, small_dataset, folder, folder / phase)
    return folder


@pytest.fixture
def train(small_dataset: Path, finished: Path) -> Train:
    """`train(phase, folder, **changes to the configuration)`.

    `data=` for another data set, `model=` for another recogniser.
    """

    def run(
        phase: str, folder: Path, data: Path = small_dataset, **changes: Any
    ) -> dict[str, float]:
        return run_phase(phase, data, finished, folder, **changes)

    return run
