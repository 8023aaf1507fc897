"""The public API, with an untrained recogniser: that what it reads is what its model says."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from hmer.data.collate import stack
from hmer.decoding.bidirectional import DecodingConfig
from hmer.errors import HmerError
from hmer.ink.canvas import PAPER
from hmer.ink.inkml import InkDocument, write_inkml
from hmer.ink.picture import load_picture
from hmer.ink.render import RenderConfig, render
from hmer.ink.scale import normalise
from hmer.ink.strokes import Ink
from hmer.latex.tree import parse
from hmer.models.about import Calibration
from hmer.models.checkpoint import load_recogniser, save_module
from hmer.recognition import Recognition
from hmer.recognizer import Recognizer
from hmer.synthesis.output import to_svg
from tests.hmer.conftest import save_recogniser

QUICK = DecodingConfig(beam=3, max_length=8)
Grey = NDArray[np.uint8]


@pytest.fixture(scope="module")
def recognizer(model_folder: Path) -> Recognizer:
    return Recognizer.load(model_folder)


def drawn(ink: Ink) -> Grey:
    return render(normalise(ink), 20.0, 0.1, 0.25).image


def paper(ink: Ink) -> bytes:
    """A scan: dark ink on white paper, larger than it will be read."""
    picture = 255 - np.pad(render(normalise(ink), 36.0, 0.1, 0.5).image, 20)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def roomy(image: Grey) -> Grey:
    """More paper than the convolutions reach: they notice where a canvas ends."""
    return np.pad(image, ((0, 40), (0, 40)))


def same(one: Recognition, other: Recognition) -> None:
    assert one.tokens == other.tokens
    assert one.confidence == pytest.approx(other.confidence, rel=1e-3)
    for name in ("spatial_attention", "attention"):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert (mine is None) == (theirs is None)
        if mine is not None:
            np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-5)
    assert np.array_equal(one.image, other.image)


def refusal(recognizer: Recognizer, source: Path | bytes | Grey | Ink) -> str:
    with pytest.raises(HmerError) as caught:
        recognizer.recognize(source, QUICK)
    message = str(caught.value)
    assert "\n" not in message
    return message


@torch.no_grad()
def said(recognizer: Recognizer, image: Tensor, caption: list[int]) -> float:
    """Log probability of a caption after its first token, token by token."""
    model = recognizer.model
    encoded, total = model.encode(image), 0.0
    past: tuple[Tensor, ...] = ()
    for before, after in pairwise(caption):
        logits, past = model.step(torch.tensor([[before]]), encoded, past)
        total += float(logits[0, 0].log_softmax(-1)[after])
    return total


def test_the_reading_is_what_the_model_says(recognizer: Recognizer, inks: tuple[Ink, ...]) -> None:
    seen = set()
    for ink in inks:
        found = recognizer.recognize(ink, QUICK)
        seen.add(found.latex)
        assert found.tokens and found.latex.split() == list(found.tokens)
        assert np.array_equal(found.image, drawn(ink))
        readings = [(found.tokens, found.confidence), *found.alternatives]
        assert len({tokens for tokens, _ in readings}) == len(readings)
        for tokens, _ in found.alternatives:
            parse(tokens)
        image = stack([found.image], *(-(-(side + PAPER) // 8) * 8 for side in found.image.shape))
        scores = []
        for tokens, confidence in readings:
            ids = recognizer.vocabulary.encode(tokens)
            captions = ([1, *ids, 2], [2, *ids[::-1], 1])
            total = sum(said(recognizer, image, caption) for caption in captions)
            assert confidence == pytest.approx(math.exp(total / 2), rel=1e-3)
            scores.append(total)
        assert scores[0] == max(scores)
        confidences = [confidence for _, confidence in found.alternatives]
        assert confidences == sorted(confidences, reverse=True)
    assert len(seen) > 3


def test_attention_is_that_of_the_best_reading(
    recognizer: Recognizer, inks: tuple[Ink, ...]
) -> None:
    images = [roomy(recognizer.prepare(ink)) for ink in inks[:3]]
    for image, found in zip(images, recognizer.read(images, QUICK, attention=True), strict=True):
        grid = tuple(-(-side // 8) for side in image.shape)
        assert found.attention is not None and found.spatial_attention is not None
        assert found.attention.shape == (len(found.tokens) + 1, *grid)
        ids = torch.tensor([[1, *recognizer.vocabulary.encode(found.tokens)]])
        with torch.no_grad():
            encoded = recognizer.model.encode(stack([image], grid[0] * 8, grid[1] * 8))
            expected = recognizer.model.attention_maps(ids, encoded)[0]
        np.testing.assert_allclose(found.attention, expected, rtol=1e-3, atol=1e-5)
        assert found.attention.sum(axis=(1, 2)) == pytest.approx(np.ones(len(found.tokens) + 1))
        assert found.spatial_attention.shape == grid
        assert found.spatial_attention.sum() == pytest.approx(1.0)
        padded = np.pad(image, [(0, 8 * n - s) for n, s in zip(grid, image.shape, strict=True)])
        blocks = padded.reshape(grid[0], 8, grid[1], 8).max(axis=(1, 3))
        assert not found.spatial_attention[blocks < 25].any()
    assert recognizer.read(images[:1], QUICK)[0].attention is None


def test_a_batch_reads_as_one_by_one(recognizer: Recognizer, inks: tuple[Ink, ...]) -> None:
    images = [roomy(recognizer.prepare(ink)) for ink in inks]
    assert len({image.shape for image in images}) == len(images) > 3
    together = recognizer.read(images, QUICK, attention=True)
    for image, found in zip(images, together, strict=True):
        (alone,) = recognizer.read([image], QUICK, attention=True)
        same(found, alone)
    height, width = (max(image.shape[i] for image in images) + 30 for i in (0, 1))
    larger = recognizer.read(images, QUICK, attention=True, shape=(height, width))
    for found, padded in zip(together, larger, strict=True):
        same(found, padded)


def test_blank_paper_in_a_batch_reads_as_nothing(
    recognizer: Recognizer, inks: tuple[Ink, ...]
) -> None:
    image = roomy(recognizer.prepare(inks[0]))
    blank, found = recognizer.read([np.zeros((30, 400), np.uint8), image], QUICK, attention=True)
    assert (blank.tokens, blank.confidence, blank.alternatives) == ((), 1.0, ())
    same(found, recognizer.read([image], QUICK, attention=True)[0])
    assert recognizer.read([], QUICK) == []


def test_ink_may_have_any_unit(recognizer: Recognizer, inks: tuple[Ink, ...]) -> None:
    large = inks[1].mapped(lambda points: points * 64 + 512)
    one, other = (recognizer.recognize(ink, QUICK) for ink in (inks[1], large))
    assert one.image.shape == other.image.shape
    assert one.tokens == other.tokens


def test_all_ways_to_hand_over_a_picture(
    recognizer: Recognizer, inks: tuple[Ink, ...], tmp_path: Path
) -> None:
    data = paper(inks[2])
    path = tmp_path / "scan.png"
    path.write_bytes(data)
    by_bytes = recognizer.recognize(data, QUICK)
    same(by_bytes, recognizer.recognize(path, QUICK))
    same(by_bytes, recognizer.recognize(str(path), QUICK))
    # At the recogniser's scale, whatever the picture's: as large as the ink drawn from strokes.
    expected = np.array(drawn(inks[2]).shape)
    assert np.abs(np.array(by_bytes.image.shape) / expected - 1).max() < 0.35
    same(by_bytes, recognizer.recognize(load_picture(path), QUICK))
    with Image.open(path) as image, path.open("rb") as stream:
        same(by_bytes, recognizer.recognize(stream, QUICK))
        same(by_bytes, recognizer.recognize(image, QUICK))
        same(by_bytes, recognizer.recognize(np.asarray(image), QUICK))
        same(by_bytes, recognizer.recognize(np.asarray(image.convert("RGB")), QUICK))


def test_each_expression_on_a_page_is_read(
    recognizer: Recognizer, inks: tuple[Ink, ...], tmp_path: Path
) -> None:
    """One above the other, and one beside them: as ink, as InkML, as a picture."""
    wide = [normalise(ink) for ink in inks if np.ptp(np.concatenate(normalise(ink).strokes)) > 4]
    aside, below = wide[0].bounds()[2] + 10, max(part.bounds()[3] for part in wide[:2]) + 3
    parts: list[Ink] = []
    for part, place in zip(wide, ((0, 0), (aside, 0), (0, below)), strict=False):
        parts.append(
            Ink(tuple(30 * (stroke + np.array(place, np.float32)) for stroke in part.strokes))
        )
    page = Ink(tuple(stroke for part in parts for stroke in part.strokes))
    (tmp_path / "page.inkml").write_bytes(write_inkml(InkDocument(page, "x")))
    for source in (page, tmp_path / "page.inkml"):
        found = recognizer.read_page(source, QUICK)
        assert [reading.box for reading in found] == [part.bounds() for part in parts]
        for reading, alone in zip(found, parts, strict=True):
            same(reading, recognizer.recognize(alone, QUICK))
    with pytest.warns(UserWarning, match="ink: there seem to be 3 expressions.*read_page"):
        recognizer.recognize(page, QUICK)
    image = 255 - np.pad(render(page, 1.5, 5, 20).image, 10)
    found = recognizer.read_page(image, QUICK)
    for reading, alone in zip(found, parts, strict=True):
        expected = np.subtract(alone.bounds(), page.bounds()[:2] * 2) * 1.5 + 10 + 30
        assert reading.box == pytest.approx(expected.tolist(), abs=15)
        difference = np.subtract(reading.image.shape, recognizer.prepare(alone).shape)
        assert np.abs(difference).max() < 0.35 * max(reading.image.shape)


def test_a_page_with_one_expression_or_none(recognizer: Recognizer, inks: tuple[Ink, ...]) -> None:
    for source in (paper(inks[2]), inks[2]):
        (alone,) = recognizer.read_page(source, QUICK, attention=True)
        same(alone, recognizer.recognize(source, QUICK, attention=True))
    assert recognizer.read_page(np.full((60, 90), 255, np.uint8), QUICK) == []


def test_svg_is_read_as_its_ink(
    recognizer: Recognizer, inks: tuple[Ink, ...], tmp_path: Path
) -> None:
    (tmp_path / "a.svg").write_bytes(to_svg(normalise(inks[0])))
    found = recognizer.prepare(tmp_path / "a.svg")
    assert np.abs(found.astype(float) - drawn(inks[0])).mean() < 1
    (tmp_path / "b.svg").write_bytes(b"<svg><text>x</text></svg>")
    assert "has a text" in refusal(recognizer, tmp_path / "b.svg")


def test_inkml_is_read_as_its_ink(
    recognizer: Recognizer, inks: tuple[Ink, ...], tmp_path: Path
) -> None:
    data = write_inkml(InkDocument(inks[3], "x"))
    same(recognizer.recognize(data, QUICK), recognizer.recognize(inks[3], QUICK))
    for name in ("a.InkML", "a.xml", "a.png", "a"):  # what it is, its content says
        (tmp_path / name).write_bytes(data)
        found = recognizer.recognize(tmp_path / name, QUICK)
        same(found, recognizer.recognize(inks[3], QUICK))
    (tmp_path / "b.inkml").write_bytes(paper(inks[2]))
    same(
        recognizer.recognize(tmp_path / "b.inkml", QUICK),
        recognizer.recognize(paper(inks[2]), QUICK),
    )


def test_what_cannot_be_read_is_named(recognizer: Recognizer, tmp_path: Path) -> None:
    assert refusal(recognizer, tmp_path / "gone.png").startswith(f"{tmp_path / 'gone.png'}: ")
    assert refusal(recognizer, tmp_path).startswith(f"{tmp_path}: ")

    notes = tmp_path / "notes.png"
    notes.write_text("not a picture")
    assert refusal(recognizer, notes).startswith(f"{notes}: not a readable picture")
    assert "not a readable picture" in refusal(recognizer, b"not a picture")

    assert "a folder" in refusal(recognizer, tmp_path)
    for source in (None, 7, io.StringIO("x")):
        with pytest.raises(TypeError):
            recognizer.recognize(source, QUICK)  # type: ignore[arg-type]
        assert refusal(recognizer, source)  # type: ignore[arg-type]

    torn = tmp_path / "torn.inkml"
    torn.write_text("<ink><trace>1 2")
    assert refusal(recognizer, torn).startswith(f"{torn}: ")


@pytest.mark.parametrize(("level", "noise"), [(0, 0), (128, 0), (255, 0), (250, 4), (200, 6)])
def test_blank_paper_is_read_as_nothing(
    recognizer: Recognizer, tmp_path: Path, level: int, noise: int
) -> None:
    blank = tmp_path / "blank.png"
    grain = np.random.default_rng(0).normal(level, noise, (60, 90)).clip(0, 255)
    Image.fromarray(grain.astype(np.uint8)).save(blank)
    for source in (blank, str(blank), blank.read_bytes(), np.zeros((60, 90), np.uint8)):
        found = recognizer.recognize(source, QUICK, attention=True)
        assert (found.tokens, found.confidence, found.alternatives) == ((), 1.0, ())
        assert found.latex == ""


def test_what_is_too_large_is_named(recognizer: Recognizer, tmp_path: Path) -> None:
    # Small symbols far apart: 80 x 80 symbol units at 20 pixels are 2.6 million.
    corner = np.array([[0, 0], [0.5, 1], [1, 0]], np.float32)
    sparse = Ink(tuple(corner + np.float32(away) for away in (0, 20, 40, 80)))
    assert "more than 2000000" in refusal(recognizer, sparse)
    path = tmp_path / "sparse.inkml"
    path.write_bytes(write_inkml(InkDocument(sparse, "x")))
    message = refusal(recognizer, path)
    assert message.startswith(f"{path}: ") and "more than 2000000" in message


def test_weights_may_be_named_themselves(recognizer: Recognizer, model_folder: Path) -> None:
    again = Recognizer.load(model_folder / "model.safetensors")
    assert again.vocabulary == recognizer.vocabulary
    assert (again.render, again.model.training) == (RenderConfig(), False)
    for name, value in recognizer.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value)


def load_refusal(path: Path) -> str:
    with pytest.raises(HmerError) as caught:
        Recognizer.load(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    return message


def test_no_model(tmp_path: Path) -> None:
    assert "no model there" in load_refusal(tmp_path / "gone")
    assert "no model there" in load_refusal(tmp_path)


def describe(folder: Path, **changed: object) -> None:
    """Change what the model's JSON file says; None takes an entry away."""
    sidecar = folder / "model.json"
    about = json.loads(sidecar.read_text()) | changed
    sidecar.write_text(json.dumps({k: v for k, v in about.items() if v is not None}))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"kind": "encoder"}, "not a recogniser but: 'encoder'"),
        ({"kind": None}, "not a recogniser"),
        ({"vocabulary": None}, "vocabulary"),
        ({"vocabulary": ["x"]}, "vocabulary"),
        ({"vocabulary": {"name": "wap", "tokens": ["x", "x"]}}, "twice"),
        ({"vocabulary": {"name": "wap", "tokens": [1, 2]}}, "vocabulary"),
        ({"vocabulary": {"name": "wap", "tokens": ["x", "y"]}}, "another vocabulary"),
        ({"config": {"encoder": {"width": 16, "blocks": [1, 1, 1]}}}, "another architecture"),
        ({"config": {"encoder": {"width": -1}}}, "width: Input should"),
        ({"config": None}, "config"),
        ({"config": "tiny"}, "dictionary"),
        ({"render": {"dpi": 300}}, "dpi"),
        ({"name": "oracle"}, "oracle"),
        ({"sha256": "0"}, "damaged"),
    ],
)
def test_what_is_wrong_with_a_model_is_told(
    own_model: Path, changed: dict[str, object], reason: str
) -> None:
    describe(own_model, **changed)
    assert reason in load_refusal(own_model)


def test_weights_of_another_kind(own_model: Path, recognizer: Recognizer) -> None:
    about = json.loads((own_model / "model.json").read_text())
    save_module(recognizer.model.encoder, own_model / "model.safetensors", about)
    assert "another architecture" in load_refusal(own_model)
    save_module(recognizer.model.encoder, own_model / "encoder.safetensors", {"kind": "encoder"})
    assert "not a recogniser but: 'encoder'" in load_refusal(own_model / "encoder.safetensors")


def test_a_recognition_cannot_be_changed(recognizer: Recognizer, inks: tuple[Ink, ...]) -> None:
    found = recognizer.recognize(inks[0], QUICK)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.confidence = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("count", [8, 60])
def test_a_reading_is_no_longer_than_its_ink_can_hold(
    own_model: Path, recognizer: Recognizer, count: int
) -> None:
    """A model that never stops by itself, on a row of bars."""
    endless = Recognizer.load(own_model)
    last = [m for m in endless.model.modules() if isinstance(m, torch.nn.Linear)]
    heads = [m for m in last if m.out_features == len(endless.vocabulary)]
    for head in heads:
        with torch.no_grad():
            head.bias[[endless.vocabulary.sos, endless.vocabulary.eos]] -= 1e4
    bars = tuple(np.array([[n, 0], [n, 1.0]], np.float32) for n in range(count))
    for config in (DecodingConfig(beam=1, both_directions=False), DecodingConfig(beam=2)):
        found = endless.recognize(Ink(bars), config)
        assert count // 2 <= len(found.tokens) <= 8 + 3 * count < 200


def test_the_callers_module_stays_as_it_is(recognizer: Recognizer, model_folder: Path) -> None:
    module = load_recogniser(model_folder).model.train()
    kinds = [type(part) for part in module.modules()]
    made = Recognizer(module, recognizer.vocabulary, recognizer.render)
    assert module.training and [type(part) for part in module.modules()] == kinds
    assert all(a is b for a, b in zip(module.parameters(), made.model.parameters(), strict=True))


def test_a_scale_for_reading_of_its_own(own_model: Path, inks: tuple[Ink, ...]) -> None:
    describe(own_model, reading_unit=30.0)
    made = Recognizer.load(own_model)
    assert made.render == RenderConfig(unit=30.0)
    trained = load_recogniser(own_model).reads.trained
    assert trained == RenderConfig()
    assert made.prepare(inks[0]).shape[0] > render(normalise(inks[0]), 20.0).image.shape[0]
    describe(own_model, reading_unit="large")
    assert "reading_unit" in load_refusal(own_model) or "unit" in load_refusal(own_model)


def test_the_calibration_is_of_expressions_not_of_single_symbols(
    tmp_path: Path, inks: tuple[Ink, ...]
) -> None:
    saved = load_recogniser(save_recogniser(tmp_path / "model", lone=True))
    words, classifier = saved.reads.vocabulary, saved.model.get_submodule("lone_symbol")
    calibration = Calibration(0.5, 1.5, 0.3, 0.7)
    reader = Recognizer(saved.model, words, saved.reads.render, calibration)
    token = classifier.get_submodule("token")
    assert isinstance(token, torch.nn.Linear)
    for kind, tokens in ((words.encode("x")[0], ("x",)), (words.eos, None)):
        with torch.no_grad():
            token.bias.fill_(0.0)[kind] = 1000.0
        found = reader(inks[0], QUICK)
        assert (found.tokens == tokens) if tokens else len(found.tokens) > 1
        expected = found.probability
        if not tokens:
            expected = calibration.confidence(expected, len(found.tokens), found.share)
        assert found.confidence == pytest.approx(expected)
        rest = [one.confidence for one in found.n_best[1:]]
        assert rest == sorted(rest, reverse=True) and 0 < rest[0] < 1


def test_nothing_is_read_only_where_no_other_reading_is_latex(
    model_folder: Path, inks: tuple[Ink, ...]
) -> None:
    saved = load_recogniser(model_folder)
    words, head = saved.reads.vocabulary, saved.model.get_submodule("decoder.head")
    assert isinstance(head, torch.nn.Linear)
    with torch.no_grad():
        head.bias[[words.sos, words.eos]] = 20.0
    reader = Recognizer(saved.model, words, saved.reads.render)
    assert reader(inks[0], DecodingConfig(beam=1)).tokens == ()
    found = reader(inks[0], QUICK)
    assert found.tokens and all(one.tokens for one in found.n_best)


def test_rivals_are_those_of_the_list_and_unknown_to_a_greedy_search(
    model_folder: Path, inks: tuple[Ink, ...]
) -> None:
    saved = load_recogniser(model_folder)
    calibration = Calibration(0.5, 1.5, 0.3, 0.7)
    reader = Recognizer(saved.model, saved.reads.vocabulary, saved.reads.render, calibration)
    plain = Recognizer(saved.model, saved.reads.vocabulary, saved.reads.render)
    greedy = reader(inks[0], DecodingConfig(beam=1, both_directions=False, max_length=8))
    assert greedy.share == 0.5
    found, bare = reader(inks[0], QUICK), plain(inks[0], QUICK)
    assert bare.confidence == bare.probability == pytest.approx(found.probability)
    assert 0 < found.share < 1
    for one in (greedy, found):
        expected = calibration.confidence(one.probability, len(one.tokens), one.share)
        assert one.confidence == pytest.approx(expected)
