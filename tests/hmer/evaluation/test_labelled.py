"""Labelled sets: read and scored."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hmer.decoding.bidirectional import DecodingConfig
from hmer.errors import HmerError
from hmer.evaluation.labelled import GraphScores, LabelledSet, read_labelled, score
from hmer.ink.inkml import InkDocument, write_inkml
from hmer.ink.render import RenderConfig
from hmer.ink.strokes import Ink
from hmer.latex.label_graph import label_graph
from hmer.recognizer import Recognizer

RENDER = RenderConfig(unit=16, pen=0.1, margin=0.25)
INK = Ink((np.array([[0, 0], [60, 90]], np.float32), np.array([[60, 0], [0, 90]], np.float32)))


def document(latex: str) -> bytes:
    return write_inkml(InkDocument(INK, latex))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in {
        "one/a.inkml": document("$x^2$"),
        "one/b.inkml": document("\\frac{1}{2}"),
        "two/a.inkml": document("y"),
        "two/no_truth.inkml": document(""),
        "two/cut.inkml": document("z")[:80],
        "two/unknown.inkml": document("\\aleph + 1"),
        "two/readme.txt": b"not ink",
    }.items():
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "set"


def test_every_file_is_accounted_for(folder: Path) -> None:
    found = read_labelled(folder, RENDER, "wap")
    truths = {id: " ".join(truth) for id, truth in zip(found.ids, found.truths, strict=True)}
    assert truths == {"a": "x ^ { 2 }", "b": "\\frac { 1 } { 2 }", "set/two/a.inkml": "y"}
    assert sorted(found.refused) == ["cut", "unknown"]
    assert "\\aleph" in found.refused["unknown"]
    assert found.unlabelled == ["no_truth"]
    assert all(image.max() > 200 for image in found.images)


def test_a_package_is_as_good_as_a_folder(folder: Path, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as package:
        for path in sorted(folder.rglob("*.inkml")):
            package.write(path, path.relative_to(folder))
    (tmp_path / "set.zip").write_bytes(packed.getvalue())
    a, b = read_labelled(folder, RENDER, "wap"), read_labelled(tmp_path / "set.zip", RENDER, "wap")
    assert (a.truths, a.unlabelled) == (b.truths, b.unlabelled)
    assert all(np.array_equal(x, y) for x, y in zip(a.images, b.images, strict=True))


def test_captions_stand_in_for_truths(folder: Path, tmp_path: Path) -> None:
    captions = tmp_path / "captions.txt"
    captions.write_text("no_truth\t\\alpha\nb\t3\n", encoding="utf-8")
    found = read_labelled(folder, RENDER, "wap", captions)
    truths = dict(zip(found.ids, found.truths, strict=True))
    assert truths["no_truth"] == ("\\alpha",)
    assert truths["b"] == ("3",)
    assert not found.unlabelled


def test_captions_are_taken_as_people_write_them(folder: Path, tmp_path: Path) -> None:
    captions = tmp_path / "captions.txt"
    captions.write_bytes(
        b"\xef\xbb\xbfno_truth.inkml\tx+2+\\sqrt{3}\r\n\r\ntwo/b.INKML\tx^2\r\nnobody\t3\r\ncut\tx\r\n"
    )
    found = read_labelled(folder, RENDER, "wap", captions)
    truths = dict(zip(found.ids, found.truths, strict=True))
    assert " ".join(truths["no_truth"]) == "x + 2 + \\sqrt { 3 }"
    assert " ".join(truths["b"]) == "x ^ { 2 }"
    assert found.unmatched == ["nobody"]
    assert not read_labelled(folder, RENDER, "wap", captions, limit=4).unmatched


@pytest.mark.parametrize(
    "lines",
    [
        "no_truth.PNG\tx\ntwo/b.svg\tx",
        "/home/ann/set/no_truth.inkml\tx\n/home/ann/set/two/b.jpg\tx",
        "C:\\set\\no_truth.Inkml.png\tx\nC:\\elsewhere\\b\tx",
        "b\tx\ntwo/b.png\tx\nno_truth.jpeg\tx",
    ],
)
def test_captions_name_files_as_people_do(folder: Path, tmp_path: Path, lines: str) -> None:
    captions = tmp_path / "captions.txt"
    captions.write_text(lines, encoding="utf-8")
    found = read_labelled(folder, RENDER, "wap", captions)
    truths = dict(zip(found.ids, found.truths, strict=True))
    assert truths["no_truth"] == truths["b"] == ("x",)


def test_folders_tell_files_of_one_name_apart(folder: Path, tmp_path: Path) -> None:
    ink = (folder / "two" / "no_truth.inkml").read_bytes()
    for place in ("one", "two"):
        (tmp_path / "apart" / place).mkdir(parents=True)
        (tmp_path / "apart" / place / "a.inkml").write_bytes(ink)
    captions = tmp_path / "captions.csv"
    captions.write_text("file,latex\none/a.png,x\ntwo/a.png,y\n", encoding="utf-8")
    found = read_labelled(tmp_path / "apart", RENDER, "wap", captions)
    assert sorted(found.truths) == [("x",), ("y",)] and not found.unmatched
    captions.write_text("file,latex\np/a.png,x\nq/a.png,y\none/a,x\n", encoding="utf-8")
    found = read_labelled(tmp_path / "apart", RENDER, "wap", captions)
    assert found.truths == [("x",)] and found.unmatched == ["p/a.png", "q/a.png"]


def test_captions_of_other_forms(folder: Path, tmp_path: Path) -> None:
    for name, text in (
        ("c.csv", 'id;latex\nno_truth.inkml;"f(x;y)"\n'),
        ("c.jsonl", '{"id": "no_truth", "label": "f(x;y)"}\n'),
        ("c.lst", "no_truth f(x;y)\n"),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        found = read_labelled(folder, RENDER, "plain", tmp_path / name)
        assert "';'" in found.refused["no_truth"]  # a sign that the narrow vocabulary lacks


def test_truths_in_mathml_alone(tmp_path: Path) -> None:
    math = "<math><msup><mi>x</mi><mn>2</mn></msup><mo>+</mo><mi>pi</mi></math>"
    ink = '<ink><annotationXML type="truth">{}</annotationXML><trace>0 0, 60 90</trace></ink>'
    (tmp_path / "a.inkml").write_text(ink.format(math), encoding="utf-8")
    (tmp_path / "b.inkml").write_text(ink.format("<math><maction/></math>"), encoding="utf-8")
    found = read_labelled(tmp_path, RENDER, "wap")
    assert found.truths == [tuple("x ^ { 2 } + \\pi".split())]
    assert "<maction> is not supported" in found.refused["b"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"nobody\tx\nno.inkml\ty\n", "none of the 2 ids.*'nobody'"),
        (b"a\tx\nb\n", "captions.txt: line 2 lacks a name or a caption"),
        ("a\tx\nb\té".encode("latin-1"), "save it as UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_captions_of_no_use_are_told(
    folder: Path, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    captions = tmp_path / "captions.txt"
    if content is not None:
        captions.write_bytes(content)
    with pytest.raises(HmerError, match=f"--captions.*{reason}"):
        read_labelled(folder, RENDER, "wap", captions)


def test_ink_is_read_whatever_its_ending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hmer.ingest.archive.MAX_MEMBER", 100_000)
    label = b'<ink><annotation type="normalizedLabel">x</annotation><trace>0 0, 60 90</trace></ink>'
    for name, data in {
        "a.xml": label,
        "b.ink": label.replace(b"normalizedLabel", b"Truth"),
        "c": label.decode().encode("utf-16"),
        "d.png": b"\x89PNG\r\n\x1a\n\0\0",
        "e.inkml": b"\0\1\2",
        "weights.bin": b"<ink>" + bytes(200_000),
    }.items():
        (tmp_path / name).write_bytes(data)
    found = read_labelled(tmp_path, RENDER, "wap")
    assert (found.ids, list(found.refused)) == (["a", "b", "c"], ["e"])
    assert len(read_labelled(tmp_path, RENDER, "wap", limit=2).ids) in (1, 2)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as package:
        package.write(tmp_path / "a.xml", "a.xml")
        package.write(tmp_path / "weights.bin", "weights.bin")
    assert read_labelled(tmp_path / "set.zip", RENDER, "wap").ids == ["a"]


def test_the_scale_is_the_recognisers(folder: Path) -> None:
    small = read_labelled(folder, RENDER, "wap").images[0]
    large = read_labelled(folder, replace_unit(32), "wap").images[0]
    assert 1.6 < large.shape[0] / small.shape[0] < 2.1


def replace_unit(unit: float) -> RenderConfig:
    return RENDER.model_copy(update={"unit": unit})


@pytest.mark.parametrize("content", [None, b"", document("")])
def test_nothing_to_score_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    if content:
        (tmp_path / "a.inkml").write_bytes(content)
    with pytest.raises(HmerError, match="nothing to score"):
        read_labelled(tmp_path, RENDER, "wap")


def test_a_missing_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(HmerError, match="no-such"):
        read_labelled(tmp_path / "no-such", RENDER, "wap")


GREEDY = DecodingConfig(beam=1, both_directions=False, max_length=20)


def labelled(recognizer: Recognizer, inks: tuple[Ink, ...]) -> LabelledSet:
    """What the recogniser reads is the truth, but for the last."""
    read = [
        (image, recognizer.read([image], GREEDY)[0].tokens)
        for image in map(recognizer.prepare, inks)
    ]
    images = [image for image, tokens in read if tokens]
    truths = [tokens for _, tokens in read if tokens]
    assert len(images) >= 3
    truths[-1] = (*truths[-1], "+")
    names = [f"e{i}" for i in range(len(images))]
    return LabelledSet(names, truths, images, {"broken": "cut off"}, ["blank"])


def test_by_hand(recognizer: Recognizer, inks: tuple[Ink, ...], tmp_path: Path) -> None:
    told: list[int] = []
    found = labelled(recognizer, inks)
    scored = score(recognizer, found, GREEDY, told.append)
    n = len(found.images)
    assert scored.scores.summary.n == n + 1
    assert scored.scores.summary.exprate == pytest.approx(100 * (n - 1) / (n + 1))
    assert scored.scores.summary.le1 == pytest.approx(100 * n / (n + 1))
    assert scored.scores.summary.unreadable == ("broken",)
    assert scored.unlabelled == 1
    assert scored.scores.exprate.low <= scored.scores.summary.exprate <= scored.scores.exprate.high
    assert sum(told) == n
    scored.write(tmp_path / "readings.csv")
    rows = list(csv.DictReader((tmp_path / "readings.csv").open(encoding="utf-8")))
    assert len(rows) == n + 1
    assert {row["id"] for row in rows[:2]} == {"broken", f"e{n - 1}"}
    assert all(row["edits"] == "0" for row in rows[2:])


def test_a_set_of_which_nothing_can_be_read(recognizer: Recognizer) -> None:
    scored = score(recognizer, LabelledSet(refused={"a": "cut off"}), GREEDY)
    assert (scored.scores.summary.n, scored.scores.summary.exprate) == (1, 0.0)
    assert np.isfinite(scored.seconds)


TRUTH = label_graph("x ^ { 2 } + y".split(), {0: [0, 1], 3: [2], 5: [3, 4], 6: [5]})


def numbers(*readings: tuple[str, dict[int, list[int]]]) -> dict[str, float]:
    scores = GraphScores()
    for caption, strokes in readings:
        scores.update(TRUTH, label_graph(caption.split(), strokes))
    return {name.removeprefix("label_graphs."): value for name, value in scores.numbers().items()}


def test_the_truth_is_right() -> None:
    found = numbers(("x ^ { 2 } + y", {0: [1, 0], 3: [2], 5: [4, 3], 6: [5]}))
    assert found.pop("n") == 1
    assert set(found.values()) == {100.0} and len(found) == 8


def test_a_wrong_label_spoils_the_symbol_but_not_the_structure() -> None:
    found = numbers(("x ^ { 2 } + z", {0: [0, 1], 3: [2], 5: [3, 4], 6: [5]}))
    assert found["symbol_recall"] == found["symbol_precision"] == 75.0
    assert found["segmentation_recall"] == found["relation_recall"] == found["structure"] == 100.0
    assert found["exprate"] == 0.0


def test_a_symbol_in_pieces_spoils_what_hangs_on_it() -> None:
    # The plus is read as - and 1: its two relations are gone, the script's is left.
    found = numbers(("x ^ { 2 } - 1 y", {0: [0, 1], 3: [2], 5: [3], 6: [4], 7: [5]}))
    assert found["segmentation_recall"] == found["symbol_recall"] == 75.0
    assert found["segmentation_precision"] == found["symbol_precision"] == pytest.approx(60.0)
    assert found["relation_recall"] == pytest.approx(100 / 3)
    assert found["relation_precision"] == 25.0
    assert found["structure"] == found["exprate"] == 0.0


def test_a_wrong_relation_spoils_the_structure_alone() -> None:
    found = numbers(("x 2 + y", {0: [0, 1], 1: [2], 2: [3, 4], 3: [5]}))
    assert found["symbol_recall"] == 100.0
    # x 2 is Right in place of Sup, and the plus hangs on the 2 in place of the x.
    assert found["relation_recall"] == found["relation_precision"] == pytest.approx(100 / 3)
    assert found["structure"] == found["exprate"] == 0.0


def test_a_symbol_without_strokes_is_one_too_many() -> None:
    found = numbers(("x ^ { 2 } + y y", {0: [0, 1], 3: [2], 5: [3, 4], 6: [5], 7: []}))
    assert found["symbol_recall"] == 100.0 and found["symbol_precision"] == 80.0
    assert found["structure"] == found["exprate"] == 0.0


def test_what_cannot_be_read_has_nothing_right() -> None:
    right = ("x ^ { 2 } + y", {0: [0, 1], 3: [2], 5: [3, 4], 6: [5]})
    found = numbers(("", {}), right)
    assert found["n"] == 2 and found["symbol_recall"] == found["exprate"] == 50.0
    assert found["symbol_precision"] == 100.0
    assert "symbol_precision" not in numbers(("", {}))
    assert GraphScores().numbers() == {}
