"""Written expressions in a training."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from shutil import copyfile

import numpy as np
import pytest
import torch

from hmer.data.batches import BatchConfig, BatchStream, PlannedBatch
from hmer.data.dataset import load_expressions
from hmer.data.supervised import SupervisedMaker
from hmer.data.synthetic_batches import MixingConfig, WrittenPlan
from hmer.errors import HmerError
from hmer.ink.render import RenderConfig
from hmer.latex.vocabulary import vocabulary
from hmer.synthesis.base import HELD_OUT, SHORT, Leakage
from hmer.training.synthesis import SynthesisConfig, mixed, synthesiser

pytestmark = pytest.mark.medium


WORDS = vocabulary("wap")
HALF = MixingConfig(share=0.5, settles=0.0, falls=0.8, ends=1.0, shortest=60, chunk=3)
ALL = SynthesisConfig(mixing=HALF, decompose=1, recombine=1, compose=1)


def test_every_generator_has_its_say(small_dataset: Path) -> None:
    path = small_dataset / "train.parquet"
    train = load_expressions(path)
    made = synthesiser(ALL, path, train, Leakage())
    rng = np.random.default_rng(0)
    kinds = Counter(w.kind for w in (made(rng) for _ in range(60)) if w)
    assert set(kinds) == {"decompose", "recombine", "compose"}
    assert min(kinds.values()) >= 5


def test_batches_are_mixed_and_the_same_again(small_dataset: Path) -> None:
    train = load_expressions(small_dataset / "train.parquet")
    real = BatchStream(train.sizes, BatchConfig(max_pixels=60_000, buckets=3), 8, 4)
    drawn = SupervisedMaker(train, WORDS, RenderConfig(), None, 8)
    made = [mixed(ALL, small_dataset, train, real, drawn, 12) for _ in range(2)]
    plans = made[0][0].batches(0, 12)
    kinds = Counter(type(plan) for _, plan in plans)
    assert kinds[WrittenPlan] == 5  # half of 10 steps, and a falling share after
    assert kinds[PlannedBatch] == 7
    for step, plan in made[1][0].batches(3, 4):
        a, b = (maker(plan, np.random.default_rng(step)) for _, maker in made)
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.targets, b.targets)


def test_nothing_wanted_nothing_changed(small_dataset: Path, tmp_path: Path) -> None:
    train = load_expressions(small_dataset / "train.parquet")
    real = BatchStream(train.sizes, BatchConfig(), 8, 4)
    drawn = SupervisedMaker(train, WORDS, RenderConfig(), None, 8)
    assert mixed(SynthesisConfig(), tmp_path, train, real, drawn, 12) == (real, drawn)


def test_held_out_captions_must_be_known(small_dataset: Path, tmp_path: Path) -> None:
    copyfile(small_dataset / "train.parquet", tmp_path / "train.parquet")
    train = load_expressions(small_dataset / "train.parquet")
    real = BatchStream(train.sizes, BatchConfig(), 8, 4)
    drawn = SupervisedMaker(train, WORDS, RenderConfig(), None, 8)
    with pytest.raises(HmerError, match=HELD_OUT):
        mixed(ALL, tmp_path, train, real, drawn, 12)


def test_ingest_says_what_is_held_out(small_dataset: Path) -> None:
    leakage = Leakage.read(small_dataset / HELD_OUT)
    val = load_expressions(small_dataset / "val.parquet").tokens
    long = [caption for caption in val if len(caption) > SHORT]
    assert long
    assert not any(leakage.allows(caption) for caption in long)
