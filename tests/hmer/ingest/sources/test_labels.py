import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmer.errors import HmerError
from hmer.ingest.sources.labels import Label, read_labels


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
    # Spreadsheets quote what has a comma, and double the quotes in it.
    quoted = 'a.png\t"f(x,y)"\n"b.png"\t"f "" (x,y)"\n'
    assert read(tmp_path / "c.tsv", quoted) == [
        Label("a.png", "f(x,y)"),
        Label("b.png", 'f " (x,y)'),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.csv", "file;latex;writer\na.png;x+1;ada\nb.png;f(x,y);\n"),
        ("c.csv", "\ufeffsep=;\r\nfile;latex;writer\r\na.png;x+1;ada\r\nb.png;f(x,y);\r\n"),
        ("c.csv", 'file,latex,writer\na.png,x+1,ada\nb.png,"f(x,y)",\n'),
        ("c.csv", '"file";"latex";"writer"\n"a.png";"x+1";"ada"\n"b.png";"f(x,y)";""\n'),
        ("c.csv", "file\tlatex\twriter\na.png\tx+1\tada\nb.png\tf(x,y)\t\n"),
        ("c.csv", "File Name|LaTeX|Writer ID\na.png|x+1|ada\nb.png|f(x,y)|\n"),
        ("c.tsv", 'img_path,ground_truth,writer\na.png,x+1,ada\nb.png , "f(x,y)",\n'),
        ("c.txt", "image;latex code;writer\na.png;x+1;ada\nb.png;f(x,y);\n"),
        ("c.csv", ";file;latex;writer\n0;a.png;x+1;ada\n1;b.png;f(x,y);\n"),
        ("c.csv", ',file,latex,writer\n0,a.png,x+1,ada\n1,b.png,"f(x,y)",\n'),
    ],
)
def test_separators_are_found(tmp_path: Path, name: str, text: str) -> None:
    assert read(tmp_path / name, text) == [
        Label("a.png", "x+1", "ada"),
        Label("b.png", "f(x,y)"),
    ]


def test_separators_without_names(tmp_path: Path) -> None:
    assert read(tmp_path / "c.csv", "\na.png;f(x,y)\n") == [Label("a.png", "f(x,y)")]
    assert read(tmp_path / "c.csv", "a.png,f(x;y)\n") == [Label("a.png", "f(x;y)")]
    assert read(tmp_path / "c.txt", "a.png  f ( x )\n\nb.png y\n") == [
        Label("a.png", "f ( x )"),
        Label("b.png", "y"),
    ]
    assert read(tmp_path / "c.txt", "my scan.png\tf ( x )\n") == [Label("my scan.png", "f ( x )")]


def test_a_quotation_mark_that_is_not_closed_is_told(tmp_path: Path) -> None:
    for rest in ("b.png,y\n", 'b.png,"y"\nc.png,z\n'):
        with pytest.raises(HmerError, match=r"here: .*a quotation mark in line 2 is not closed"):
            read(tmp_path / "c.csv", f'file,latex\na.png,"x\n{rest}')
    lines = 'file,latex\na.png,"\\begin{matrix}1\\\\\n2\\end{matrix}"\nb.png,f"\n'
    assert [label.latex for label in read(tmp_path / "c.csv", lines)] == [
        "\\begin{matrix}1\\\\\n2\\end{matrix}",
        'f"',
    ]


def test_backslashes_that_have_escaped_are_told(tmp_path: Path) -> None:
    for command in ("frac", "beta", "theta", "rho"):
        (label,) = read(tmp_path / "c.jsonl", f'{{"File": "a.png", "LaTeX": "\\{command} x"}}')
        assert "1 has a control character; write backslashes twice" in label.problem
    (label,) = read(tmp_path / "c.jsonl", '{"file": "a.png", "latex": "\\sum x"}')
    assert "line 1 is not JSON: Invalid" in label.problem and "escape" in label.problem
    (label,) = read(tmp_path / "c.jsonl", '{"file": "a.png", "latex": "\\\\frac ab"}')
    assert label == Label("a.png", "\\frac ab")


def test_captions_that_are_cut_by_a_separator_are_told(tmp_path: Path) -> None:
    found = read(tmp_path / "c.csv", "file,latex\na.png,f(x,y)\nb.png,z,,\n")
    assert [(label.file, label.latex) for label in found] == [("a.png", ""), ("b.png", "z")]
    assert "line 2 has 3 cells separated by ',', not 2; put a caption" in found[0].problem
    (label,) = read(tmp_path / "d.csv", "0,a.png,x\n")
    assert "or name the columns (file, latex) in a first line" in label.problem
    (label,) = read(tmp_path / "d.csv", "latex,file\nx,a.png,y\n")
    assert label.file == "a.png" and label.problem


def test_lines_of_no_use_are_told_one_by_one(tmp_path: Path) -> None:
    found = read(tmp_path / "c.csv", "file,latex\na.png\n,x\nb.png,y\n")
    assert [label.problem for label in found] == [
        "line 2 lacks a name or a caption",
        "line 3 lacks a name or a caption",
        "",
    ]
    text = '{"file": "a", "latex": 3}\n{"file": "a", "latex": null}\n[]\n{broken\n' + "[" * 5000
    found = read(tmp_path / "c.jsonl", text)
    assert [bool(label.problem) for label in found] == [False] + [True] * 4
    assert "line 3 is neither an object nor a pair" in found[2].problem
    assert "line 4 is not JSON" in found[3].problem


AS_JSON = [
    [{"file": "a.png", "latex": "x+1", "writer": "ada"}, {"Image ID": "b.png", "label": "1.50"}],
    [["a.png", "x+1", "ada"], ["b.png", "1.50"]],
    {"a.png": {"latex": "x+1", "writer": "ada"}, "b.png": "1.50"},
    {"17": {"name": "a.png", "latex": "x+1", "writer": "ada"}, "18": {"name": "b.png", "gt": 1.5}},
    {"version": "1", "captions": [["a.png", "x+1", "ada"], ["b.png", "1.50"]], "of": ["us"]},
    {"file": ["a.png", "b.png"], "latex": ["x+1", "1.50"], "writer": ["ada", None]},
    {
        "file": {"0": "a.png", "1": "b.png"},
        "latex": {"0": "x+1", "1": "1.50"},
        "writer": {"0": "ada", "1": None},
    },
]


@pytest.mark.parametrize("value", AS_JSON)
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("name", ["c.json", "c.jsonl"])
def test_json_of_any_shape(tmp_path: Path, value: object, indent: int | None, name: str) -> None:
    text = json.dumps(value, indent=indent).replace("1.5}", "1.50}").replace("1.5\n", "1.50\n")
    assert read(tmp_path / name, text) == [Label("a.png", "x+1", "ada"), Label("b.png", "1.50")]


def test_json_lines_of_any_ending(tmp_path: Path) -> None:
    text = '{"file": "a.png", "latex": "x"}\r\n\r\n["b.png", "y"]\r\n'
    assert read(tmp_path / "c.json", text) == [Label("a.png", "x"), Label("b.png", "y")]
    assert read(tmp_path / "d.json", '{"file": "a.png", "latex": "x"}') == [Label("a.png", "x")]
    assert read(tmp_path / "e.json", " ") == []


def test_json_that_is_named_twice_or_cut_short_is_told(tmp_path: Path) -> None:
    assert len(read(tmp_path / "c.json", '{"a.png": "x", "a.png": "y"}')) == 2
    (label,) = read(tmp_path / "d.json", '["x"]')
    assert "entry 1 is neither" in label.problem
    for text in ('[\n["a.png", "x"],\n', '{\n"a.png": "x\n'):
        with pytest.raises(HmerError, match=r"here: .*e\.json is not JSON \(.*line \d"):
            read(tmp_path / "e.json", text)


def test_json_of_other_keys_is_told(tmp_path: Path) -> None:
    text = '[{"bild": "a.png", "formel": "x"}, {"file": "b.png", "formel": "x"}]'
    neither, half = read(tmp_path / "c.json", text)
    assert "entry 1 has no key 'file' and 'latex'" in neither.problem
    assert half.file == "b.png" and "entry 2 has no key 'latex'" in half.problem


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "c.csv").write_text("file,latex\r\nä.png,β\r\n", encoding)
    assert list(read_labels(tmp_path / "c.csv", "here")) == [Label("ä.png", "β")]
    (tmp_path / "cut.csv").write_bytes("file,latex\n".encode("utf-16")[:-1])
    with pytest.raises(HmerError, match="save it as UTF-8"):
        list(read_labels(tmp_path / "cut.csv", "here"))


def test_files_that_are_no_captions(tmp_path: Path) -> None:
    with pytest.raises(HmerError, match=r"here: .*c\.xlsx is not a file of captions"):
        read(tmp_path / "c.xlsx", "")
    with pytest.raises(HmerError, match="cannot be read"):
        list(read_labels(tmp_path / "gone.csv", "here"))
    (tmp_path / "c.csv").write_bytes(b"file,latex\na.png,\xff\xfe\n")
    with pytest.raises(HmerError, match="save it as UTF-8"):
        list(read_labels(tmp_path / "c.csv", "here"))
    for data in (b"PK\3\4\0\0", "file,latex\na.png,x\n".encode("utf-16-le")):
        (tmp_path / "c.csv").write_bytes(data)
        with pytest.raises(HmerError, match=r"is no text .*; save it as text in UTF-8"):
            list(read_labels(tmp_path / "c.csv", "here"))
    with pytest.raises(HmerError, match="not a table"):
        read(tmp_path / "long.csv", "a," + "x" * 200_000)


TABLES = st.text(st.sampled_from("file,latex;ab.png\t\"'\n\r \\{}&sep=\0\x85é$"), max_size=80)

JSON = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=5) | st.just("latex"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["file", "latex", "a.png", "writer"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    st.sampled_from(["c.csv", "c.tsv", "c.txt", "c.json", "c.jsonl"]),
    st.binary(max_size=200) | TABLES.map(str.encode) | JSON.map(json.dumps).map(str.encode),
)
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
