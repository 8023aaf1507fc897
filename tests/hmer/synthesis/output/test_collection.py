"""Written expressions go out as InkML and come back through ingest as they were meant."""

from __future__ import annotations

import json
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from hmer.data.schema import read_samples
from hmer.errors import HmerError
from hmer.ingest.archive import read_members
from hmer.ingest.ingest import IngestConfig, ingest
from hmer.ingest.sources.crohme import CrohmeConfig
from hmer.ingest.sources.synthesised import TrainingInk, read_material
from hmer.ink.boxes import symbol_boxes
from hmer.ink.codec import unpack
from hmer.ink.render import RenderConfig, render
from hmer.ink.scale import normalise
from hmer.synthesis.base import Leakage, Numbered
from hmer.synthesis.generators import Generators, GeneratorsConfig
from hmer.synthesis.output.collection import (
    SUMMARY,
    CollectionSummary,
    Origin,
    new_package,
    write_collection,
)

ENDS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".zip", "")


@pytest.mark.parametrize("end", ENDS)
def test_files_come_back(end: str, tmp_path: Path) -> None:
    path = tmp_path / "deeper" / f"ink{end}"
    with new_package(path) as add:
        add("a/b.inkml", b"one")
        add("a/c.inkml", b"two" * 9000)
        add("a/d.json", b"{}")
    found = {m.name.removeprefix("ink/"): m.data for m in read_members(path, ".inkml", "test")}
    assert found == {"a/b.inkml": b"one", "a/c.inkml": b"two" * 9000}
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("end", [end for end in ENDS if end])
def test_the_same_bytes_at_another_time(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, now in (("one", 1e9), ("two", 1.5e9)):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        with new_package(tmp_path / f"{name}{end}") as add:
            add("a", b"content")
    assert (tmp_path / f"one{end}").read_bytes() == (tmp_path / f"two{end}").read_bytes()


def test_kinds_are_what_their_names_say(tmp_path: Path) -> None:
    for end in (".tar.xz", ".zip"):
        with new_package(tmp_path / f"a{end}") as add:
            add("a", b"b")
    with tarfile.open(tmp_path / "a.tar.xz", "r:xz") as tar:
        assert [(m.name, m.uid, m.mtime) for m in tar] == [("a", 0, 0)]
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["a"]


@pytest.mark.parametrize("end", ENDS)
def test_an_error_leaves_what_was_there(end: str, tmp_path: Path) -> None:
    path = tmp_path / f"ink{end}"
    if end:
        path.write_bytes(b"before")
    with pytest.raises(KeyError), new_package(path) as add:
        add("a", b"b")
        raise KeyError
    assert [p.name for p in tmp_path.iterdir()] == ([path.name] if end else [])
    assert not end or path.read_bytes() == b"before"


def test_what_is_refused(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    for path, message in (
        (tmp_path / "ink.rar", "name a folder, or end"),
        (tmp_path / "full", "something in it"),
        (tmp_path / "full" / "file" / "ink.zip", "cannot be written"),
    ):
        with pytest.raises(HmerError, match=message), new_package(path) as add:
            add("a", b"b")
    assert [p.name for p in tmp_path.rglob("*")] == ["full", "file"]


ALL = GeneratorsConfig(decompose=1, recombine=1, compose=1)
COUNT = 60


@pytest.fixture(scope="module")
def material(small_dataset: Path) -> TrainingInk:
    return read_material(small_dataset)


def made(material: TrainingInk) -> Generators:
    return Generators.of(ALL, material, material.bank, material.held_out or Leakage())


def write(material: TrainingInk, out: Path, count: int = COUNT, seed: int = 0) -> CollectionSummary:
    writers = [item.writer for item in material.items]
    origin = Origin(material.tokens, writers, len(material.held_out or ()))
    return write_collection(made(material), origin, count, seed, out)


def test_labels_symbols_and_boxes_come_back_through_ingest(
    material: TrainingInk, tmp_path: Path
) -> None:
    summary = write(material, tmp_path / "written.tar.xz")
    assert summary.expressions == COUNT and not summary.contradictory
    assert set(summary.by_generator) == {"decompose", "recombine", "compose"}
    config = IngestConfig(
        source="crohme",
        workers=1,
        val_share=0,
        render=RenderConfig(unit=16),
        crohme=CrohmeConfig(train=str(tmp_path / "written.tar.xz")),
    )
    told = ingest(config, tmp_path / "dataset")
    assert told.quarantined == 0 and told.splits["train"].label_noise == 0
    assert told.splits["train"].by_source == summary.by_generator
    assert told.splits["train"].distinct_labels == summary.captions
    numbered = Numbered(made(material), 0)
    samples = {s.id: s for s in read_samples(tmp_path / "dataset" / "train.parquet")}
    for number in range(COUNT):
        sample, meant = samples[f"written-0-{number:07d}"], numbered[number]
        assert list(sample.tokens) == meant.tokens
        assert sample.ink is not None and sample.symbol_boxes is not None
        ink = unpack(sample.ink)
        assert {s.place: s.strokes for s in ink.symbols} == {
            s.place: s.strokes for s in meant.ink.symbols
        }
        own = normalise(meant.ink)
        boxes = symbol_boxes(own, render(own, 16))
        wanted = {s.place: box for s, box in zip(own.symbols, boxes, strict=True)}
        for symbol, box in zip(ink.symbols, sample.symbol_boxes, strict=True):
            other = wanted[symbol.place]
            assert box.token == other.token == meant.tokens[symbol.place or 0]
            sides = ("left", "top", "right", "bottom")
            for side in sides:
                assert getattr(box, side) == pytest.approx(getattr(other, side), abs=0.5)


def test_the_same_bytes_and_a_longer_one_begins_alike(
    material: TrainingInk, tmp_path: Path
) -> None:
    for name in ("one.zip", "two.zip"):
        write(material, tmp_path / name, 10)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    for name, count, seed in (("short", 5, 0), ("long", 9, 0), ("other", 5, 1)):
        write(material, tmp_path / name, count, seed)
    files = {
        name: {p.name: p.read_bytes() for p in (tmp_path / name).rglob("*.inkml")}
        for name in ("short", "long", "other")
    }
    assert [len(found) for found in files.values()] == [5, 9, 5]
    assert files["short"].items() <= files["long"].items()
    assert not set(files["short"].values()) & set(files["other"].values())


def test_the_account_is_in_the_package(material: TrainingInk, tmp_path: Path) -> None:
    steps: list[int] = []
    writers = [item.writer for item in material.items]
    known = {" ".join(tokens) for tokens in material.tokens}
    numbered = Numbered(made(material), 2)
    captions = {" ".join(numbered[number].tokens) for number in range(8)}
    held = [caption.split() for caption in captions]
    generators = Generators.of(ALL, material, material.bank, Leakage.of(held))
    origin = Origin(material.tokens, writers, len(held))
    out = tmp_path / "folder"
    summary = write_collection(generators, origin, 30, 2, out, progress=steps.append)
    assert steps == list(range(1, 31))
    assert json.loads((out / SUMMARY).read_text()) == summary.model_dump()
    assert sum(summary.excluded.values()) > 0 and summary.nothing > 0
    assert summary.held_out == len(held) and summary.material == 24
    read = {" ".join(sample.tokens) for sample in (item for item in read_material(out).items)}
    assert len(read) == summary.captions and len(read - known) == summary.new_captions
    long = {caption for caption in captions if len(caption.split()) > 3}
    assert long and not read & long


def test_nothing_is_left_of_what_cannot_be_finished(material: TrainingInk, tmp_path: Path) -> None:
    generators = made(material)
    generators.mixture.parts = [lambda rng: None]
    with pytest.raises(HmerError, match="came to nothing"):
        write_collection(generators, Origin([], [], None), 3, 0, tmp_path / "a.zip")
    assert not list(tmp_path.iterdir())
