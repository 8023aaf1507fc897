"""Reading by onnxruntime: the same as by PyTorch."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hmer.decoding.bidirectional import DecodingConfig, Reading, search
from hmer.errors import HmerError
from hmer.export import runtime
from hmer.export.folder import add_graphs, export
from hmer.export.runtime import OnnxReader, load_graphs
from hmer.ink.canvas import on_canvas
from hmer.ink.render import RenderConfig
from hmer.ink.strokes import Ink
from hmer.latex.vocabulary import vocabulary
from hmer.models.about import About, Calibration
from hmer.models.checkpoint import load_recogniser
from hmer.models.registry import build_recogniser
from hmer.recognizer import Recognizer
from tests.hmer.conftest import save_recogniser

pytestmark = pytest.mark.medium


QUICK = DecodingConfig(beam=4, max_length=12)
LEFT = DecodingConfig(beam=1, max_length=12, both_directions=False)


@pytest.fixture(scope="module")
def plain(model_folder: Path) -> Recognizer:
    return Recognizer.load(model_folder)


@pytest.fixture(scope="module")
def fast(exported: Path) -> Recognizer:
    return Recognizer.load(exported)


def readings(
    recognizer: Recognizer, batch: NDArray[np.float32], config: DecodingConfig
) -> list[list[Reading]]:
    words, step = recognizer.vocabulary, recognizer.reader.encode(batch)
    return search(step, len(batch), config, sos=words.sos, eos=words.eos, pad=words.pad)


@pytest.mark.parametrize("config", [QUICK, LEFT], ids=["beam", "greedy"])
def test_the_same_n_best(
    plain: Recognizer, fast: Recognizer, inks: tuple[Ink, ...], config: DecodingConfig
) -> None:
    assert isinstance(fast.reader, OnnxReader)
    images = [plain.prepare(ink) for ink in inks]
    height, width = (-(-(max(i.shape[d] for i in images) + 32) // 8) * 8 for d in (0, 1))
    # All in one batch, whose inputs leave it one by one, and each alone on a canvas of its own.
    batches = [on_canvas(images, height, width)]
    batches += [on_canvas([i], *(-(-(side + 32) // 8) * 8 for side in i.shape)) for i in images[:3]]
    seen = set()
    for batch in batches:
        for mine, theirs in zip(
            readings(fast, batch, config), readings(plain, batch, config), strict=True
        ):
            assert [r.tokens for r in mine] == [r.tokens for r in theirs]
            assert [r.score for r in mine] == pytest.approx([r.score for r in theirs], abs=1e-4)
            seen.add(mine[0].tokens)
    assert len(seen) > 3


def test_a_classifier_of_single_symbols(inks: tuple[Ink, ...], tmp_path: Path) -> None:
    folder = save_recogniser(tmp_path / "model", lone=True)
    plain = Recognizer.load(folder)
    read = load_recogniser(folder)
    export(read.model, read.reads, tmp_path / "exported", int8=False)
    add_graphs(folder)
    images = [plain.prepare(ink) for ink in inks]
    expected = plain.read(images, QUICK)
    other = plain.reader.encode(on_canvas(images[:1], 128, 512)).lone_symbol
    assert other is not None and other.shape == (1, 2, len(plain.vocabulary))
    for place in (folder, tmp_path / "exported"):
        fast = Recognizer.load(place, backend="onnx")
        assert isinstance(fast.reader, OnnxReader)
        for mine, theirs in zip(fast.read(images, QUICK), expected, strict=True):
            assert [one.tokens for one in mine.n_best] == [one.tokens for one in theirs.n_best]
            assert mine.probability == pytest.approx(theirs.probability, abs=1e-4)
        said = fast.reader.encode(on_canvas(images[:1], 128, 512)).keep(np.array([0, 0]))
        assert said.lone_symbol is not None
        np.testing.assert_allclose(said.lone_symbol, other.repeat(2, axis=0), atol=1e-4)


def test_however_much_is_scored_at_once(
    fast: Recognizer, inks: tuple[Ink, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [fast.prepare(ink) for ink in inks]
    batch = on_canvas(
        images, *(-(-(max(i.shape[d] for i in images) + 32) // 8) * 8 for d in (0, 1))
    )
    found = []
    for room, dead in ((1, 1), (2**10, 10), (2**24, 10**6)):
        monkeypatch.setattr(runtime, "_ROOM", room)
        monkeypatch.setattr(runtime, "_DEAD", dead)
        found.append(readings(fast, batch, QUICK))
    for other in found[1:]:
        for mine, theirs in zip(found[0], other, strict=True):
            assert [r.tokens for r in mine] == [r.tokens for r in theirs]
            assert [r.score for r in mine] == pytest.approx([r.score for r in theirs], abs=1e-4)


@pytest.mark.slow
def test_with_the_dense_encoder(exported: Path, tmp_path: Path, inks: tuple[Ink, ...]) -> None:
    assert exported.is_dir()  # the extra is installed
    words = vocabulary("wap")
    settings = {
        "encoder": {"name": "densenet", "growth": 4, "layers": 2},
        "decoder": {"layers": 2, "width": 16, "heads": 2, "feedforward": 32},
    }
    torch.manual_seed(1)
    model = build_recogniser("mask-match", settings, words).eval()
    render = RenderConfig(unit=10)
    export(model, About(words, render, render), tmp_path / "dense", int8=False)
    plain = Recognizer(model, words, RenderConfig(unit=10))
    fast = Recognizer.load(tmp_path / "dense")
    images = [plain.prepare(ink) for ink in inks[:3]]
    for mine, theirs in zip(fast.read(images, LEFT), plain.read(images, LEFT), strict=True):
        assert mine.tokens == theirs.tokens
        assert mine.confidence == pytest.approx(theirs.confidence, rel=1e-3)
        assert mine.spatial_attention is not None and theirs.spatial_attention is not None
        np.testing.assert_allclose(mine.spatial_attention, theirs.spatial_attention, atol=1e-5)


def test_what_is_recognised_is_the_same(
    plain: Recognizer, fast: Recognizer, inks: tuple[Ink, ...]
) -> None:
    for ink in inks[:3]:
        mine, theirs = fast.recognize(ink, QUICK), plain.recognize(ink, QUICK)
        assert mine.latex == theirs.latex
        assert mine.confidence == pytest.approx(theirs.confidence, rel=1e-3)
        assert mine.spatial_attention is not None and theirs.spatial_attention is not None
        np.testing.assert_allclose(mine.spatial_attention, theirs.spatial_attention, atol=1e-5)
    blank = fast.recognize(np.zeros((60, 90), np.uint8), QUICK)
    assert (blank.tokens, blank.confidence) == ((), 1.0)


def test_it_looks_where_the_recogniser_looks(
    plain: Recognizer, fast: Recognizer, inks: tuple[Ink, ...]
) -> None:
    for ink in inks[:3]:
        mine, theirs = (one.recognize(ink, QUICK, attention=True) for one in (fast, plain))
        assert mine.attention is not None and theirs.attention is not None
        np.testing.assert_allclose(mine.attention, theirs.attention, rtol=1e-3, atol=1e-5)


def test_an_exported_one_has_no_module(fast: Recognizer) -> None:
    with pytest.raises(HmerError, match="no PyTorch module"):
        _ = fast.model


HOW = {"calibration": {"scale": 0.5, "slope": 1.5, "length": 0.3}, "unwritten": ["x", "\\limits"]}


@pytest.fixture(scope="module")
def beside(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder in half precision, with graphs that take their weights from it."""
    assert exported.is_dir()  # the extra is installed
    folder = save_recogniser(tmp_path_factory.mktemp("beside"), half=True)
    about = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**about, **HOW}))
    add_graphs(folder)
    return folder


def test_graphs_take_the_weights_that_training_has(beside: Path, inks: tuple[Ink, ...]) -> None:
    assert sum((beside / name).stat().st_size for name in ("encoder.onnx", "step.onnx")) < 2**17
    fast, slow = Recognizer.load(beside), Recognizer.load(beside, backend="torch")
    assert isinstance(fast.reader, OnnxReader) and not isinstance(slow.reader, OnnxReader)
    for ink in inks:
        mine, theirs = fast.recognize(ink, QUICK), slow.recognize(ink, QUICK)
        assert mine.tokens == theirs.tokens
        assert [tokens for tokens, _ in mine.alternatives] == [t for t, _ in theirs.alternatives]
        assert mine.confidence == pytest.approx(theirs.confidence, rel=1e-3)
        assert "x" not in mine.tokens
    assert fast.calibration == slow.calibration == Calibration(0.5, 1.5, 0.3)
    weights = slow.model.state_dict()
    for name, value in fast.model.state_dict().items():  # PyTorch, when it is asked for
        assert torch.equal(weights[name], value)
    image = slow.prepare(inks[0])
    canvas = on_canvas([image], *(-(-(s + 32) // 8) * 8 for s in image.shape))
    best = readings(slow, canvas, QUICK)[0][0]
    assert slow.recognize(inks[0], QUICK).confidence == pytest.approx(
        Calibration(0.5, 1.5, 0.3).confidence(best.confidence, len(best.tokens)), rel=1e-3
    )


def test_other_weights_are_refused(beside: Path, tmp_path: Path) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(beside, folder)
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    assert "model.safetensors: does not match the digest" in refusal(folder)
    (folder / "model.safetensors").unlink()
    assert "model.safetensors: cannot be read" in refusal(folder)


def refusal(folder: Path) -> str:
    with pytest.raises(HmerError) as caught:
        load_graphs(folder)
    message = str(caught.value)
    assert "\n" not in message and str(folder) in message
    return message


def test_damage_is_told(exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "exported"
    shutil.copytree(exported, folder)
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    for changed, reason in (
        ({"kind": "recogniser"}, "describes no exported recogniser but 'recogniser'"),
        ({"stride": 0}, "export the model again"),
        ({"vocabulary": {"name": "wap", "tokens": ["x", "x"]}}, "twice"),
        ({"sha256": {}}, "does not match"),
        ({"past": [["batch", "hypotheses", "length"]]}, "not written by this version"),
        ({"encoder": about["step"]}, "encoder.onnx: another graph than model.json describes"),
        ({"vocabulary": {"name": "wap", "tokens": ["x"]}}, "of another vocabulary"),
    ):
        (folder / "model.json").write_text(json.dumps(about | changed), encoding="utf-8")
        assert reason in refusal(folder)
    (folder / "model.json").write_text(json.dumps(about), encoding="utf-8")
    (folder / "step.onnx").write_bytes((exported / "step.onnx").read_bytes()[:-1])
    assert "step.onnx: does not match its digest" in refusal(folder)
    (folder / "step.onnx").unlink()
    assert "step.onnx: missing" in refusal(folder)
    (folder / "model.json").unlink()
    assert "model.json: missing" in refusal(folder)


@given(st.sampled_from(["encoder.onnx", "step.onnx"]), st.data())
def test_damaged_graphs_are_loaded_or_told(
    exported: Path, tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    """With a digest that is right, so that the damage goes as deep as it can."""
    folder = tmp_path_factory.mktemp("damaged") / "exported"
    shutil.copytree(exported, folder)
    graph = bytearray((folder / name).read_bytes())
    at = data.draw(st.integers(0, len(graph) - 1))
    if data.draw(st.booleans()):
        graph[at : at + 8] = data.draw(st.binary(min_size=1, max_size=8))
    else:
        graph = graph[:at]
    (folder / name).write_bytes(graph)
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    about["sha256"][name] = hashlib.sha256(graph).hexdigest()
    (folder / "model.json").write_text(json.dumps(about), encoding="utf-8")
    try:
        load_graphs(folder)
    except HmerError as error:
        assert str(folder) in str(error) and "\n" not in str(error)


def test_without_the_extra(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(HmerError, match="onnxruntime is missing: pip install 'onnxruntime'"):
        Recognizer.load(exported)
