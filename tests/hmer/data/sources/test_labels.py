from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmer.data.sources.labels import Label, read_labels
from hmer.errors import HmerError


def read(path: Path, text: str) -> list[Label]:
    path.write_text(text, encoding="utf-8")
    return list(read_labels(path, "here"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.csv", 'file,latex,writer\na.png,x+1,ada\nb.png,"f(x,y)",\n'),
        ("c.csv", '\ufeffWriter,Formula,Image\r\nada,x+1,a.png\r\n,"f(x,y)",b.png\r\n'),
        ("c.tsv", "name\tlabel\twriter_id\na.png\tx+1\tada\n\nb.png\tf(x,y)\t\n"),
        (
            "c.jsonl",
            '{"image": "a.png", "latex": "x+1", "writer": "ada", "page": 3}\n\n'
            '{"image": "b.png", "latex": "f(x,y)"}\n',
        ),
    ],
)
def test_tables_with_names(tmp_path: Path, name: str, text: str) -> None:
    assert read(tmp_path / name, text) == [
        Label("a.png", "x+1", "ada"),
        Label("b.png", "f(x,y)"),
    ]


def test_tables_without_names(tmp_path: Path) -> None:
    # As HME100K has it; the quote is a prime, and no quoting.
    text = 'train_0.jpg\tf " ( x )\ntrain_1.jpg\t\\frac { 1 } { 2 }\n'
    assert read(tmp_path / "train_labels.txt", text) == [
        Label("train_0.jpg", 'f " ( x )'),
        Label("train_1.jpg", "\\frac { 1 } { 2 }"),
    ]
    assert read(tmp_path / "c.csv", 'a.png,"f(x,y)"\n') == [Label("a.png", "f(x,y)")]


def test_lines_of_no_use_are_told_one_by_one(tmp_path: Path) -> None:
    found = read(tmp_path / "c.csv", "file,latex\na.png\n,x\nb.png,y\n")
    assert [label.problem for label in found] == [
        "line 2 lacks a picture's name or its caption",
        "line 3 lacks a picture's name or its caption",
        "",
    ]
    found = read(tmp_path / "c.jsonl", '{"file": "a", "latex": 3}\n[]\n{broken\n' + "[" * 5000)
    assert [bool(label.problem) for label in found] == [True] * 4
    assert "line 2 is not a JSON object" in found[1].problem


def test_files_that_are_no_captions(tmp_path: Path) -> None:
    with pytest.raises(HmerError, match=r"here: .*c\.xlsx is not a file of captions"):
        read(tmp_path / "c.xlsx", "")
    with pytest.raises(HmerError, match="cannot be read"):
        list(read_labels(tmp_path / "gone.csv", "here"))
    (tmp_path / "c.csv").write_bytes(b"file,latex\na.png,\xff\xfe\n")
    with pytest.raises(HmerError, match="save it as UTF-8"):
        list(read_labels(tmp_path / "c.csv", "here"))
    with pytest.raises(HmerError, match="not a table"):
        read(tmp_path / "long.csv", "a," + "x" * 200_000)


@settings(deadline=None, max_examples=80)
@given(st.sampled_from(["c.csv", "c.tsv", "c.txt", "c.jsonl"]), st.binary(max_size=200))
def test_any_bytes_give_labels_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / name
    path.write_bytes(data)
    try:
        found = list(read_labels(path, "here"))
    except HmerError:
        return
    assert all(bool(label.latex) != bool(label.problem) for label in found)
