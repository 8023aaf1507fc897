import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from hmer.cli import app
from hmer.errors import HmerError
from hmer.ingest.material import read_material
from hmer.ink.inkml import read_inkml
from hmer.latex.mathml import read_mathml
from hmer.synthesis.glyphs.cutting import cut_bank, read_training_inks


def run(*words: str) -> None:
    result = CliRunner().invoke(app, ["write", *words])
    if result.exception is not None:
        raise result.exception


def test_inkml_reads_back_with_its_symbols(tmp_path: Path) -> None:
    path = tmp_path / "ink.inkml"
    run(r"\frac{a}{b}=x_1", "--writer", "7", "--out", str(path))
    document = read_inkml(path.read_bytes(), "ink")
    assert document.latex == r"\frac { a } { b } = x _ { 1 }" and document.writer == "hand-7"
    tokens = sorted(symbol.token for symbol in document.ink.symbols)
    assert tokens == sorted([r"\frac", "a", "b", "=", "x", "1"])
    owned = sorted(n for symbol in document.ink.symbols for n in symbol.strokes)
    assert owned == list(range(len(document.ink.strokes)))
    found = read_mathml(document.mathml or "", "ink")
    assert sorted(document.symbol_ids) == sorted(found.ids)


def test_many_of_a_training_split(tmp_path: Path, small_dataset: Path) -> None:
    """As InkML that ingest reads, the same bytes each time."""
    source = str(small_dataset / "train.parquet")
    for name in ("a.zip", "b.zip"):
        run("--from", source, "--count", "12", "--seed", "3", "--out", str(tmp_path / name))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    items = read_material(tmp_path / "a.zip").items
    assert len(items) == 12
    assert {item.source for item in items} == {"decompose", "recombine", "compose"}


@pytest.mark.parametrize("generator", ["decompose", "recombine", "compose"])
def test_one_generator(generator: str, tmp_path: Path, small_dataset: Path) -> None:
    out = tmp_path / "written"
    run("--from", str(small_dataset), "--count", "4", "--generator", generator, "--out", str(out))
    assert {path.parent.name for path in out.rglob("*.inkml")} == {generator}
    again = tmp_path / "again.tar"
    result = CliRunner().invoke(
        app, ["write", "--from", str(out), "--count", "3", "--out", str(again)]
    )
    assert result.exception is None, "what was written is material, too"
    assert "3 expressions" in result.output and "nothing told what is held out" in result.output


def test_pictures(tmp_path: Path) -> None:
    run("a+b", "--out", str(tmp_path / "a.png"), "--unit", "20", "--careful")
    image = np.asarray(Image.open(io.BytesIO((tmp_path / "a.png").read_bytes())))
    assert image.max() == 255 and image.min() == 0 and image.mean() > 150, "dark ink on white"
    run("a+b", "--out", str(tmp_path / "a.svg"))
    assert b"<title>+</title>" in (tmp_path / "a.svg").read_bytes()


def test_a_bank_changes_the_hand(tmp_path: Path, small_dataset: Path) -> None:
    bank = cut_bank(read_training_inks(small_dataset / "train.parquet"))
    bank.save(tmp_path / "bank.safetensors")
    drawn, real = tmp_path / "drawn.svg", tmp_path / "real.svg"
    run("2+3", "--out", str(drawn))
    run("2+3", "--out", str(real), "--bank", str(tmp_path / "bank.safetensors"))
    assert drawn.read_bytes() != real.read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "--out", "a.gif"], "unknown format '.gif'"),
        (["a", "--out", "file/a.png"], "file is no folder"),
        (["--from", "b", "--out", "file"], "file is a file; name a folder"),
        (["--from", "b", "--out", "file/a.zip"], "file is a file; name a folder"),
        (["a", "--out", "a.png", "--bank", "no"], "no such glyph bank"),
        ([r"\frac{a}{b", "--out", "a.png"], "unbalanced"),
        ([r"\nonsense", "--out", "a.png"], "nonsense"),
        (["--out", "a.png"], "say either"),
        (["a", "--from", "b", "--out", "a.png"], "say either"),
        (["--from", "b", "--out", "a.zip", "--bank", "c"], "--bank goes with LATEX"),
        (["--from", "b", "--out", "a.png"], "name a folder, or end"),
        (["--from", "b", "--out", "a.zip"], "does not exist"),
        (["--from", "file/b", "--out", "a.zip", "--held-out", "no.json"], "does not exist"),
    ],
)
def test_mistakes_leave_nothing(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    with pytest.raises(HmerError, match=message):
        run(*words)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
