"""What holds for every source of handwriting."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hmer.errors import HmerError
from hmer.ingest.ingest import IngestConfig
from hmer.ingest.sources.base import (
    Rejected,
    Source,
    SourceItem,
    key_of,
    resolve,
    split_of,
)
from hmer.ink.inkml import InkDocument, write_inkml
from hmer.ink.strokes import Ink

Draw = Callable[..., bytes]
Put = Callable[..., Path]

pytestmark = pytest.mark.parametrize("name", IngestConfig.sources())


def sections(tmp_path: Path, put: Put, picture: Draw) -> dict[str, dict[str, Any]]:
    """A small example of each."""
    stroke = np.array([[0, 0], [3, 4]], np.float32)
    ink = {
        f"{part}/{writer}-{n}.inkml": write_inkml(InkDocument(Ink((stroke,)), "x", writer))
        for part in ("train", "valid", "test")
        for writer in ("ada", "bob", "cy")
        for n in range(2)
    }
    drawn = {f"{part}/{n}.png": picture(n + 1) for part in ("train", "test") for n in range(3)}
    lines = "".join(f"{n} x\n" for n in range(3)).encode()
    captions = {f"{part}/caption.txt": lines for part in ("train", "test")}
    table = {"captions.csv": b"0,x\n1,y^2\n2,z\n"}
    inked = put(tmp_path / "ink", ink)
    drawings = put(tmp_path / "drawn", drawn | captions)
    put(tmp_path, table)
    return {
        "crohme": {"train": str(inked / "train"), "tests": {"a": str(inked / "test")}},
        "comer": {"path": str(drawings)},
        "images": {
            "train": {"images": str(drawings / "train"), "captions": str(tmp_path / "captions.csv")}
        },
        "mathwriting": {"path": str(inked)},
        "synthetic": {"train": 12, "val": 3, "test": 3},
    }


@pytest.fixture
def section(name: str, tmp_path: Path, put: Put, picture: Draw) -> dict[str, Any]:
    """That of the source in `ingest`."""
    return sections(tmp_path, put, picture)[name]


def opened(name: str, section: dict[str, Any]) -> Source:
    return IngestConfig.model_validate({"source": name, name: section}).open()


def test_items_are_whole_and_the_same_every_time(name: str, section: dict[str, Any]) -> None:
    found = [list(opened(name, section).items(3)) for _ in range(2)]
    assert [key_of(item) for item in found[0]] == [key_of(item) for item in found[1]]
    made = [[resolve(pickle.loads(pickle.dumps(item))) for item in items] for items in found]
    assert made[0]
    for item, again in zip(*made, strict=True):
        assert isinstance(item, SourceItem), item
        assert isinstance(again, SourceItem)
        assert (item.id, item.split, item.writer, item.latex) == (
            again.id, again.split, again.writer, again.latex,
        )  # fmt: skip
        assert item.id and item.writer and item.latex and item.source
        assert (item.ink is None) != (item.data is None)
        if item.ink is not None and again.ink is not None:
            pairs = zip(item.ink.strokes, again.ink.strokes, strict=True)
            assert all(np.array_equal(one, other) for one, other in pairs)
        assert item.data == again.data
    kept = [item for item in made[0] if not isinstance(item, Rejected)]
    assert len({(item.id, item.split) for item in kept}) == len(kept)
    sides: dict[str, set[str]] = {}
    for item in kept:
        sides.setdefault(item.writer, set()).add(item.split or split_of(item.writer, 0.3))
    if name != "mathwriting":  # which has no writers
        assert all(len(found & {"train", "val"}) < 2 for found in sides.values())


def test_the_total_is_right_where_it_is_known(name: str, section: dict[str, Any]) -> None:
    source = opened(name, section)
    assert source.total in (None, len(list(source.items(3))))


def test_paths_are_those_that_are_read(name: str, section: dict[str, Any]) -> None:
    config = IngestConfig.model_validate({"source": name, name: section})
    paths = config.paths()
    assert all(Path(path).exists() for path in paths)
    assert bool(paths) == (name != "synthetic")
    for path in paths:
        broken = _replaced(section, path, f"{path}-gone")
        with pytest.raises(HmerError, match="-gone"):
            list(opened(name, broken).items(3))


def test_a_home_is_written_out(name: str) -> None:
    section = getattr(IngestConfig(), name)
    assert isinstance(section, Source) and section.name == name
    fields = [field for field, value in section if isinstance(value, str) and "path" in field]
    for field in fields:
        found = type(section).model_validate({field: "~/data"})
        assert getattr(found, field) == str(Path.home() / "data")


def _replaced(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(inner, old, new) for key, inner in value.items()}
    return new if value == old else value
