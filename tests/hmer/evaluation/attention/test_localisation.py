"""The sections about attention, from end to end on an untrained recogniser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hmer.data.dataset import Expressions, load_expressions
from hmer.evaluation.annotated import annotate, cell_grid
from hmer.evaluation.attention.cross_attention import judge_cross_attention
from hmer.evaluation.attention.findings import LocalisationConfig, find
from hmer.evaluation.attention.focus import even_map, focus, informative_cells, ink_cells
from hmer.evaluation.attention.localisation import localise, localise_by
from hmer.evaluation.attention.networks import AttendedEncoder, follow, look_over
from hmer.evaluation.figures.canvas import to_png
from hmer.evaluation.section import Section
from hmer.latex.vocabulary import Vocabulary, vocabulary
from hmer.models.attention_coverage import AttentionCoverage, AttentionCoverageConfig
from hmer.models.attention_coverage.decoder import GruConfig
from hmer.models.common.encoders import CompactConfig
from hmer.models.mask_match import MaskMatch
from hmer.recognizer import Recognizer

CONFIG = LocalisationConfig(limit=4, pictures=2, untrained=1, resamples=100)


@pytest.fixture(scope="module")
def expressions(small_dataset: Path) -> Expressions:
    return load_expressions(small_dataset / "val.parquet")


@pytest.fixture(scope="module")
def recognizer(model_folder: Path) -> Recognizer:
    return Recognizer.load(model_folder)


def without_map(recognizer: Recognizer) -> Recognizer:
    words = vocabulary("wap")
    torch.manual_seed(0)
    config = AttentionCoverageConfig(
        encoder=CompactConfig(width=8, blocks=(1, 1, 1)),
        decoder=GruConfig(width=16, attention=16),
    )
    return Recognizer(AttentionCoverage(config, words), words, recognizer.render)


def drawn(section: Section) -> list[bytes]:
    return [to_png(figure.draw()) for figure in section.figures]


def test_localise(recognizer: Recognizer, expressions: Expressions) -> None:
    section = localise(recognizer, expressions, CONFIG, 0)
    numbers = section.numbers
    assert section.name == "localisation"
    assert numbers["expressions"] == 4
    assert numbers["lift_low"] <= numbers["lift"] <= numbers["lift_high"]
    assert numbers["lift_even"] > 1.0  # the map cannot fall on blank paper
    for name in ("pointing", "pointing_chance", "pointing_untrained", "pointing_ink"):
        assert 0.0 <= numbers[name] <= 100.0
    assert [figure.name for figure in section.figures] == ["lift", "maps"]
    assert all(len(png) > 5000 for png in drawn(section))


def test_the_same_every_time(recognizer: Recognizer, expressions: Expressions) -> None:
    for judge in (localise, judge_cross_attention):
        first, second = (judge(recognizer, expressions, CONFIG, 3) for _ in range(2))
        assert first.numbers == second.numbers
        assert [table.rows for table in first.tables] == [table.rows for table in second.tables]


def test_cross_attention(recognizer: Recognizer, expressions: Expressions) -> None:
    section = judge_cross_attention(recognizer, expressions, CONFIG, 0)
    numbers = section.numbers
    rows = [0, 1, 3, 4]  # of six, evenly spread
    written = sum(len(ink.symbols) for row in rows if (ink := expressions.ink(row)) is not None)
    assert section.name == "cross_attention"
    assert numbers["symbols"] == written
    assert numbers["pointing_low"] <= numbers["pointing"] <= numbers["pointing_high"]
    assert 0.0 < numbers["pointing_chance"] < 100.0
    assert sum(float(row[1]) for row in section.tables[1].rows) == pytest.approx(100.0)
    assert all(len(png) > 5000 for png in drawn(section))


def test_recognisers_without_a_map(recognizer: Recognizer, expressions: Expressions) -> None:
    other = without_map(recognizer)
    section = localise(other, expressions, CONFIG, 0)
    assert "no such map" in section.text
    assert not section.numbers
    assert judge_cross_attention(other, expressions, CONFIG, 0).numbers["symbols"] > 0


def test_pictures_without_symbols(recognizer: Recognizer, picture_dataset: Path) -> None:
    bare = load_expressions(picture_dataset / "val.parquet")
    section = localise(recognizer, bare, CONFIG, 0)
    assert "lift" in section.numbers
    assert "pointing" not in section.numbers
    assert [figure.name for figure in section.figures] == ["maps"]
    assert drawn(section)
    crossed = judge_cross_attention(recognizer, bare, CONFIG, 0)
    assert not crossed.numbers
    assert "nothing can be judged" in crossed.text


def test_nothing_asked(recognizer: Recognizer, expressions: Expressions) -> None:
    none = CONFIG.model_copy(update={"limit": 0})
    assert not localise(recognizer, expressions, none, 0).numbers
    assert not judge_cross_attention(recognizer, expressions, none, 0).numbers


def test_an_attention_network_without_a_decoder(
    recognizer: Recognizer, expressions: Expressions
) -> None:
    model = recognizer.model
    assert isinstance(model, MaskMatch)
    bare = AttendedEncoder(model.encoder, model.attention).eval()
    section = localise_by(bare, recognizer.render, expressions, CONFIG, 0)
    whole = localise(recognizer, expressions, CONFIG, 0)
    assert section.numbers["lift"] == pytest.approx(whole.numbers["lift"])
    assert section.numbers["pointing"] == whole.numbers["pointing"]


def test_maps_are_told_the_truth(recognizer: Recognizer, expressions: Expressions) -> None:
    shown = annotate(expressions, [0, 2], recognizer.render)
    maps = follow(recognizer.model, recognizer.vocabulary, shown)
    for one, found in zip(shown, maps, strict=True):
        assert found is not None
        assert found.shape == (len(one.tokens), *cell_grid(one.image, 8))
        assert found.sum(axis=(1, 2)) == pytest.approx(np.ones(len(one.tokens)), abs=1e-5)
    # A truth that the vocabulary cannot spell is not asked about; the others are.
    small = Vocabulary("small", [t for t in recognizer.vocabulary.tokens if t in shown[0].tokens])
    if small.unknown(shown[1].tokens):
        assert [m is None for m in follow(recognizer.model, small, shown)] == [False, True]


def test_a_map_that_knows_everything_wins(recognizer: Recognizer, expressions: Expressions) -> None:
    shown = annotate(expressions, range(len(expressions)), recognizer.render)
    shown = [one for one in shown if informative_cells(one, 8).any()]
    assert len(shown) > 2
    even = [even_map(one, 8) for one in shown]
    for one, cells in zip(shown, look_over(recognizer.model, shown), strict=True):
        assert (ink_cells(one, 8) == (cells > 0.0)).all()
    clever = [
        informative_cells(o, 8) * ink_cells(o, 8) + 0.1 * m
        for o, m in zip(shown, even, strict=True)
    ]
    found = find(shown, clever, [even], 8, 0, 100)
    assert found.pointing is not None
    assert tuple(found.pointing) == (100.0, 100.0, 100.0)
    assert found.even.width == pytest.approx(np.ones(len(shown)))
    assert found.even.lift == pytest.approx(focus(shown, even, 8).lift)
    by_class = {row.kind: row.lift.mean for row in found.classes}
    assert by_class["letter"] < 1.0 or by_class["digit"] < 1.0
