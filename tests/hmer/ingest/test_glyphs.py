import json
import lzma
import tarfile
from collections import Counter
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmer.errors import HmerError
from hmer.ingest.glyphs import GlyphsConfig, gather, read_detexify, read_unipen
from hmer.latex.vocabulary import vocabulary

WRITER = """.COMMENT about the device
.COORD X Y T
.X_POINTS_PER_INCH 100
"""
INK = """.WRITER_ID ann
.PEN_DOWN
 10 20 0
 12 26 1
 14 20 2
.PEN_UP
 15 20 3
.PEN_DOWN
.PEN_UP
.PEN_DOWN
 20 20 4
 20 30 5
"""
LETTERS = r"""
.VERSION 1.0
.INCLUDE doc/device.doc
.INCLUDE data/ann.dat
.SEGMENT CHARACTER 0 OK "A"
.SEGMENT CHARACTER 0-2 OK "N"
.SEGMENT CHARACTER 0:1-2:0 OK "M"
.SEGMENT CHARACTER 0:0-0:1,2 OK "V"
.SEGMENT CHARACTER 2:1 OK "."
"""
ODD = r"""
.INCLUDE doc/device.doc
.INCLUDE data/ann.dat
.SEGMENT CHARACTER 7 OK "B"
.SEGMENT CHARACTER 2-1 OK "B"
.SEGMENT CHARACTER one OK "B"
.SEGMENT CHARACTER 1 OK "B"
.SEGMENT WORD 0-2 OK "AB"
.SEGMENT CHARACTER 0 OK "AB"
.SEGMENT CHARACTER 0 OK
.SEGMENT
.SEGMENT CHARACTER 0 OK "\""
.SEGMENT CHARACTER 0 OK "{"
"""
FILES = {
    "unipen/README": "how `.SEGMENT` works",
    "unipen/data/1b/ann/letters.dat": LETTERS,
    "unipen/data/1d/ann/letters.dat": ODD,
    "unipen/include/doc/device.doc": WRITER,
    "unipen/include/data/ann.dat": INK,
}


@pytest.fixture(params=["folder", "package"])
def unipen(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "folder":
        for name, text in FILES.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path / "unipen"
    path = tmp_path / "unipen.tar.xz"
    with tarfile.open(path, "w:xz") as package:
        for name, text in FILES.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            package.addfile(entry, BytesIO(text.encode()))
    return path


def test_segments_name_components_and_points(unipen: Path) -> None:
    left_out: Counter[str] = Counter()
    found = {symbol.token: symbol for symbol in read_unipen(unipen, left_out)}
    strokes = {token: [s.tolist() for s in symbol.strokes] for token, symbol in found.items()}
    first, last = [[10, -20], [12, -26], [14, -20]], [[20, -20], [20, -30]]
    assert strokes["A"] == [first]
    # The empty components between the strokes are not numbered; the pen-up one has no ink.
    assert strokes["N"] == [first, last]
    assert strokes["M"] == [first[1:], last[:1]]
    assert strokes["V"] == [first[:2], last]
    assert strokes["."] == [last[1:]]
    assert {symbol.hand for symbol in found.values()} == {"ann/letters"}


def test_odd_segments_are_counted_and_passed_over(unipen: Path) -> None:
    left_out: Counter[str] = Counter()
    tokens = [symbol.token for symbol in read_unipen(unipen, left_out)]
    assert tokens[5:] == ['"', r"\{"]
    assert left_out == {
        "names ink that is not there": 2,
        "odd delineation": 1,
        "without ink": 1,
        "not a character": 3,
        "not one character": 1,
    }


def detexify(path: Path, *samples: object) -> Path:
    path.write_bytes(lzma.compress("\n".join(map(json.dumps, samples)).encode()))
    return path


def test_samples_of_detexify(tmp_path: Path) -> None:
    path = detexify(
        tmp_path / "samples.jsonl.xz",
        {"command": "\\alpha", "package": "", "row": 3, "strokes": [[[0, 0], [1000, 500]]]},
        {"command": "\\beta", "strokes": []},
        {"command": "\\beta", "strokes": [["a"]]},
        {"strokes": [[[0, 0]]]},
        7,
    )
    left_out: Counter[str] = Counter()
    (found,) = read_detexify(path, left_out)
    assert found.token == "\\alpha" and found.strokes[0].tolist() == [[0, 0], [1000, 500]]
    assert left_out == {"without strokes": 1, "not readable": 3}


def test_gathered_symbols_are_of_the_vocabulary_and_of_many_hands(tmp_path: Path) -> None:
    line = [[0, 0], [0, 400]]
    samples = [{"command": command, "strokes": [line]} for command in ["\\pi", "\\Omega", "^"]]
    path = detexify(tmp_path / "samples.jsonl.xz", *samples, *samples)
    config = GlyphsConfig(detexify=str(path), per_class=1)
    bank, unseen, counts = gather(config, vocabulary("wap"), 0)
    assert unseen is None
    assert bank.count() == {"\\pi": 1}
    assert np.ptp(bank.glyph(0)[0], axis=0).tolist() == [0, 1]
    assert counts == {
        "detexify": {"taken": 1, "beyond per_class": 1, "held out": 0, "not in the vocabulary": 4}
    }


@pytest.mark.parametrize(("broken", "left"), [(1, 19), (4, 20)])
def test_single_straight_strokes_are_left_out_where_few_are(
    broken: int, left: int, tmp_path: Path
) -> None:
    bar = [[0, 0], [1, 30], [0, 60]]
    whole = {"command": "\\pi", "strokes": [bar, [[0, 70], [1, 70]]]}
    parts = [{"command": "\\pi", "strokes": [bar]}] * broken
    path = detexify(tmp_path / "samples.jsonl.xz", *([whole] * (20 - broken)), *parts)
    _, _, counts = gather(GlyphsConfig(detexify=str(path)), vocabulary("wap"), 0)
    assert counts["detexify"]["taken"] == left
    assert counts["detexify"].get("broken", 0) == 20 - left


def test_a_collection_without_symbols_is_named(tmp_path: Path, unipen: Path) -> None:
    path = detexify(tmp_path / "samples.jsonl.xz", {"command": "\\Omega", "strokes": [[[0, 0]]]})
    with pytest.raises(HmerError, match=r"ingest\.glyphs\.detexify: .* no symbol of the vocab"):
        gather(GlyphsConfig(unipen=str(unipen), detexify=str(path)), vocabulary("wap"), 0)
    missing = GlyphsConfig(detexify=str(tmp_path / "none"))
    with pytest.raises(HmerError, match=r"ingest\.glyphs\.detexify: .* is no file"):
        gather(missing, vocabulary("wap"), 0)


@given(st.text(alphabet='.SEGMNTCHARO 0:-,"\n\\PEN_DW1', max_size=200))
def test_any_text_gives_symbols_with_ink_or_counts(text: str) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        data = Path(folder) / "u" / "data"
        data.mkdir(parents=True)
        body = f'.SEGMENT CHARACTER 0 OK "a"\n{text}\n.PEN_DOWN\n1 2\n'
        (data / "a.dat").write_text(body, newline="\n")
        left_out: Counter[str] = Counter()
        for symbol in read_unipen(data.parent, left_out):
            assert symbol.strokes and all(len(stroke) for stroke in symbol.strokes)


@pytest.mark.parametrize(("command", "left"), [("i", 2), ("0", 4), ("1", 6)])
def test_recordings_of_a_wrong_number_of_strokes_are_left_out(
    command: str, left: int, tmp_path: Path
) -> None:
    stem, dot = [[0, 20], [5, 60], [20, 70]], [[0, 0], [1, 1]]
    samples = [{"command": command, "strokes": [stem, dot]}] * 2
    samples += [{"command": command, "strokes": [stem]}] * 4
    path = detexify(tmp_path / "samples.jsonl.xz", *samples)
    _, _, counts = gather(GlyphsConfig(detexify=str(path)), vocabulary("wap"), 0)
    assert counts["detexify"]["taken"] == left
    assert counts["detexify"].get("broken", 0) == 6 - left
