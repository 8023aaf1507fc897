"""Written expressions go out as InkML and come back through ingest as they were meant."""

from __future__ import annotations

import json
import tarfile
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from hmer.errors import HmerError, InkError
from hmer.ingest.archive import read_members
from hmer.ingest.ingest import IngestConfig, ingest
from hmer.ingest.material import TrainingInk, read_material
from hmer.ingest.sources.crohme import Crohme
from hmer.ink.boxes import symbol_boxes
from hmer.ink.codec import unpack
from hmer.ink.inkml import read_inkml
from hmer.ink.render import RenderConfig, render
from hmer.ink.scale import normalise
from hmer.ink.strokes import Ink, Symbol
from hmer.latex.alignment import place_symbols
from hmer.latex.mathml import named_mathml, read_mathml
from hmer.latex.tree import COMMANDS, parse, serialise
from hmer.latex.vocabulary import vocabulary
from hmer.synthesis.base import Leakage, Written, numbered
from hmer.synthesis.generators import Generators, GeneratorsConfig
from hmer.synthesis.grammar.grammar import Grammar, GrammarConfig
from hmer.synthesis.output import (
    STEPS,
    SUMMARY,
    CollectionSummary,
    contradiction,
    new_package,
    to_inkml,
    to_svg,
    write_collection,
)
from hmer.synthesis.render_latex import write_latex
from tests.samples import read_samples

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
    return Generators(ALL, material, material.bank, material.held_out or Leakage())


def write(material: TrainingInk, out: Path, count: int = COUNT, seed: int = 0) -> CollectionSummary:
    writers = [item.writer for item in material.items]
    return write_collection(made(material), material.tokens, writers, count, seed, out)


def test_labels_symbols_and_boxes_come_back_through_ingest(
    material: TrainingInk, tmp_path: Path
) -> None:
    summary = write(material, tmp_path / "written.tar.xz")
    assert sum(summary.by_generator.values()) == COUNT and not summary.contradictory
    assert set(summary.by_generator) == {"decompose", "recombine", "compose"}
    config = IngestConfig(
        source="crohme",
        workers=1,
        val_share=0,
        render=RenderConfig(unit=16),
        crohme=Crohme(train=str(tmp_path / "written.tar.xz")),
    )
    told = ingest(config, tmp_path / "dataset")
    assert told.quarantined == 0 and told.splits["train"].label_noise == 0
    assert told.splits["train"].by_source == summary.by_generator
    assert told.splits["train"].distinct_labels == summary.captions
    generators = made(material)
    samples = {s.id: s for s in read_samples(tmp_path / "dataset" / "train.parquet")}
    for number in range(COUNT):
        sample, meant = samples[f"written-0-{number:07d}"], numbered(generators, 0, number)
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
    writers = [item.writer for item in material.items]
    known = {" ".join(tokens) for tokens in material.tokens}
    free = made(material)
    captions = {" ".join(numbered(free, 2, number).tokens) for number in range(8)}
    held = [caption.split() for caption in captions]
    generators = Generators(ALL, material, material.bank, Leakage.of(held))
    out = tmp_path / "folder"
    summary = write_collection(generators, material.tokens, writers, 30, 2, out)
    assert json.loads((out / SUMMARY).read_text()) == summary.model_dump()
    assert summary.excluded > 0 and summary.material == 24
    read = {" ".join(sample.tokens) for sample in (item for item in read_material(out).items)}
    assert len(read) == summary.captions and len(read - known) == summary.new_captions
    long = {caption for caption in captions if len(caption.split()) > 3}
    assert long and not read & long


def test_nothing_is_left_of_what_cannot_be_finished(material: TrainingInk, tmp_path: Path) -> None:
    generators = made(material)
    generators.parts = [lambda rng: None] * 3
    with pytest.raises(HmerError, match="came to nothing"):
        write_collection(generators, [], [], 3, 0, tmp_path / "a.zip")
    assert not list(tmp_path.iterdir())


SVG = "{http://www.w3.org/2000/svg}"


def test_strokes_are_grouped_by_symbol() -> None:
    strokes = (np.array([(1, 2), (3, 4)], np.float32), np.array([(5, 5)], np.float32))
    loose = (*strokes, np.array([(0, 0), (1, 1)], np.float32))
    root = fromstring(to_svg(Ink(loose, (Symbol(r"\alpha", (0, 1)),)), margin=0.5))
    assert root.get("viewBox") == "-0.500 -0.500 6.000 6.000"
    group, last = root[0], root[1]
    assert [title.text for title in group.iter(f"{SVG}title")] == [r"\alpha"]
    lines = [line.get("points") for line in group.iter(f"{SVG}polyline")]
    assert lines == ["1.000,2.000 3.000,4.000", "5.000,5.000 5.000,5.000"]
    assert last.get("points") == "0.000,0.000 1.000,1.000"


def test_nothing_to_draw() -> None:
    with pytest.raises(InkError, match="without points"):
        to_svg(Ink(()))


CAPTIONS = (
    r"\frac { a } { b }",
    r"x _ { i } ^ { 2 }",
    r"\sqrt [ 3 ] { x }",
    r"\sqrt { x } ^ { 2 } + { a b } ^ { c }",
    r"\int \limits _ { 0 } ^ { 1 } x d x",
    r"\sum \limits _ { n = 1 } a _ { n }",
    r"^ { 2 } x",
    r"\{ x | x \in A \} < 1 !",
    r"\frac { \frac { x } { x } } { \sqrt [ x ] { x } ^ { x } } x",
)


def unplaced(tokens: list[str], places: list[int]) -> Ink:
    """Ink whose symbols stand on top of each other: only their names can tell them apart."""
    strokes = tuple(np.zeros((2, 2), np.float32) for _ in places)
    return Ink(strokes, tuple(Symbol(tokens[place], (i,)) for i, place in enumerate(places)))


def check(tokens: list[str]) -> None:
    math = named_mathml(tokens)
    assert math is not None
    places = list(math.names)[::-1]
    ink = unplaced(tokens, places)
    placed = place_symbols(ink, [math.names[place] for place in places], math.xml, tokens)
    assert placed.problem is None
    assert {s.place: s.strokes for s in placed.ink.symbols} == {
        place: (number,) for number, place in enumerate(places)
    }


@pytest.mark.parametrize("caption", CAPTIONS)
def test_every_symbol_finds_its_place_again(caption: str) -> None:
    tokens = caption.split()
    assert serialise(parse(tokens)) == tokens
    check(tokens)


@given(st.integers(0, 2**31))
def test_expressions_of_the_grammar(seed: int) -> None:
    grammar = Grammar(GrammarConfig(max_tokens=40))
    check(serialise(grammar.sample(np.random.default_rng(seed))))


def test_every_symbol_of_the_vocabulary_is_read_back() -> None:
    structure = {"{", "}", "^", "_", r"\limits"}
    seen = 0
    for token in vocabulary("wap").tokens:
        if token in COMMANDS or token in structure or token.startswith("<"):
            continue
        math = named_mathml([token])
        assert math is not None
        assert serialise(read_mathml(math.xml, "test").row) == [token]
        seen += 1
    assert seen > 95


def test_what_mathml_cannot_name() -> None:
    assert named_mathml(r"\binom { a } { b }".split()) is None
    assert named_mathml(r"x + \vec { v }".split()) is None


def test_a_wrong_name_is_noticed() -> None:
    """The round trip above would be worth nothing if names did not count."""
    tokens = r"x ^ { y }".split()
    math = named_mathml(tokens)
    assert math is not None
    ink = replace(unplaced(tokens, [0, 3]))
    assert place_symbols(ink, [math.names[3], math.names[0]], math.xml, tokens).problem


def test_composed_ink_says_what_was_meant() -> None:
    grammar, rng = Grammar(GrammarConfig(max_tokens=30)), np.random.default_rng(4)
    for number in range(40):
        written = write_latex(" ".join(serialise(grammar.sample(rng))), number)
        assert contradiction(to_inkml(written, "hand"), written) is None


def written() -> Written:
    strokes = tuple(np.array([[i, 0], [i + 0.5, 1]], np.float32) for i in range(3))
    symbols = tuple(Symbol(token, (i,), p) for i, (token, p) in enumerate([("x", 0), ("2", 3)]))
    plus = Symbol("+", (2,), 5)
    return Written(Ink(strokes, (*symbols, plus)), "x ^ { 2 } +".split(), "compose")


def test_device_units_are_whole_numbers() -> None:
    document = read_inkml(to_inkml(written(), "ann", "w-1"), "file")
    assert (document.writer, document.ui, document.latex) == ("ann", "w-1", "x ^ { 2 } +")
    points = np.concatenate(document.ink.strokes)
    np.testing.assert_array_equal(points, np.rint(points))
    np.testing.assert_array_equal(document.ink.strokes[1], [[STEPS, 0], [1.5 * STEPS, STEPS]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": "y ^ { 2 } +".split()}, "caption"),
        ({"ink": Ink(written().ink.strokes[::-1], written().ink.symbols)}, "strokes run"),
        (
            {
                "ink": replace(
                    written().ink,
                    symbols=(Symbol("x", (1,), 0), Symbol("2", (0,), 3), Symbol("+", (2,), 5)),
                )
            },
            "symbols stand",
        ),
        ({"ink": replace(written().ink, symbols=())}, "symbols stand"),
    ],
)
def test_every_difference_is_told(change: dict[str, object], message: str) -> None:
    data = to_inkml(written(), "ann")
    assert contradiction(data, written()) is None
    found = contradiction(data, replace(written(), **change))  # type: ignore[arg-type]
    assert found is not None and message in found


def test_groups_that_contradict_the_label_are_told() -> None:
    data = to_inkml(written(), "ann")
    for wrong in (
        data.replace(b'<traceView traceDataRef="2" />', b""),
        data.replace(b'href="s3"', b'href="s9"').replace(b">2</annotation>", b">3</annotation>"),
    ):
        assert wrong != data
        assert contradiction(wrong, written()) is not None
    assert "not InkML" in str(contradiction(b"<a/>", written()))
