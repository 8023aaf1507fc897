"""A split in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hmer.data.dataset import load_expressions
from hmer.errors import HmerError
from hmer.ink.codec import unpack
from hmer.ink.images import decode_png
from tests.samples import read_samples, write_samples


def test_holds_what_the_file_holds(small_dataset: Path) -> None:
    path = small_dataset / "train.parquet"
    expressions, samples = load_expressions(path), list(read_samples(path))
    assert len(expressions) == len(samples) == 24
    for n, sample in enumerate(samples):
        assert expressions.ids[n] == sample.id
        assert tuple(expressions.tokens[n]) == sample.tokens
        image = expressions.image(n)
        assert np.array_equal(image, decode_png(sample.image))
        assert expressions.sizes[n].tolist() == [sample.height, sample.width] == [*image.shape]
        assert sample.ink is not None
        ink, wanted = expressions.ink(n), unpack(sample.ink)
        assert ink is not None
        assert ink.symbols == wanted.symbols
        assert all(np.array_equal(a, b) for a, b in zip(ink.strokes, wanted.strokes, strict=True))


def test_shares_are_nested_and_depend_on_ids_and_seed_alone(small_dataset: Path) -> None:
    whole = load_expressions(small_dataset / "train.parquet")
    few, more = (whole.share(share, seed=3) for share in (0.25, 0.5))
    assert len(few) == 6 and len(more) == 12
    assert set(few.ids) < set(more.ids) < set(whole.ids)
    assert whole.share(1.0, seed=3).ids == whole.ids
    assert whole.share(0.5, seed=4).ids != more.ids
    assert len(whole.share(0.001, seed=3)) == 1
    backwards = whole.take(range(len(whole))[::-1])
    assert set(backwards.share(0.25, seed=3).ids) == set(few.ids)
    row = whole.ids.index(few.ids[2])
    assert few.tokens[2] == whole.tokens[row] and few.inks[2] == whole.inks[row]
    assert few.images[2] == whole.images[row] and (few.sizes[2] == whole.sizes[row]).all()
    with pytest.raises(ValueError, match="share"):
        whole.share(0.0, seed=3)


def test_head(small_dataset: Path) -> None:
    whole = load_expressions(small_dataset / "train.parquet")
    assert len(whole.head(None)) == len(whole.head(99)) == 24
    few = whole.head(5)
    assert len(few) == len(few.tokens) == len(few.images) == len(few.inks) == len(few.sizes) == 5
    assert few.ids == whole.ids[:5]


def test_images_alone(picture_dataset: Path) -> None:
    expressions = load_expressions(picture_dataset / "val.parquet")
    assert [expressions.ink(n) for n in range(6)] == [None] * 6
    assert expressions.image(0).max() > 200


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(HmerError, match=r"train\.parquet: no such data set split; ingest the data"):
        load_expressions(tmp_path / "train.parquet")
    write_samples(tmp_path / "val.parquet", [])
    with pytest.raises(HmerError, match=r"val\.parquet: holds no expression"):
        load_expressions(tmp_path / "val.parquet")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(HmerError, match=r"torn\.parquet: not a data set split"):
        load_expressions(tmp_path / "torn.parquet")
