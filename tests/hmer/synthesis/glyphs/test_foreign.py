import numpy as np
import pytest

from hmer.synthesis.glyphs.bank import FOREIGN, Cutting, GlyphBank
from hmer.synthesis.glyphs.font import variants
from hmer.synthesis.glyphs.foreign import alike, extended, sized, sized_like


def box(glyph: tuple[np.ndarray, ...]) -> list[float]:
    points = np.concatenate(glyph)
    return [*points.min(axis=0).round(3).tolist(), *points.max(axis=0).round(3).tolist()]


def rectangle(left: float, top: float, right: float, bottom: float) -> tuple[np.ndarray, ...]:
    return (np.array([(left, top), (right, bottom)]),)


def test_a_symbol_takes_height_and_level_of_its_model() -> None:
    model = rectangle(0.0, -1.0, 0.5, 0.2)
    assert box(sized_like(rectangle(3.0, 7.0, 5.0, 11.0), model)) == [0.0, -1.0, 0.6, 0.2]


def test_flat_signs_take_the_width_and_wide_ones_are_squeezed() -> None:
    bar = rectangle(0.0, -0.4, 0.8, -0.4)
    assert box(sized_like(rectangle(0.0, 0.0, 1.0, 0.1), bar)) == [0.0, -0.44, 0.8, -0.36]
    model = rectangle(0.0, -1.0, 0.5, 0.0)
    wide = box(sized_like(rectangle(0.0, 0.0, 1.0, 0.5), model))
    assert wide == [0.0, -1.0, pytest.approx(1.4 * 0.5 + 0.15), 0.0]


def test_a_dot_of_one_point_stays_one() -> None:
    assert box(sized_like(rectangle(4.0, 4.0, 4.0, 4.0), rectangle(0, -0.1, 0.1, 0.0)))[:2] == [
        0.0,
        -0.05,
    ]


def test_isolated_symbols_join_in_the_size_of_lines_or_of_the_font() -> None:
    small = [tuple(stroke * 0.1 for stroke in variants("n")[0]) for _ in range(4)]
    lines = [Cutting("n", "ann", variants("n")[0]) for _ in range(8)]
    alone = [
        *(Cutting("n", f"u/{i}", glyph) for i, glyph in enumerate(small)),
        *(Cutting("z", f"u/{i}", variants("z")[0]) for i in range(3)),
    ]
    groups = {f"u/{i}": f"{FOREIGN}unipen" for i in range(4)}
    bank = GlyphBank.pack(lines, {"ann": "lines"})
    bank = extended(bank, GlyphBank.pack(alone, groups))
    assert bank.count() == {"n": 12, "z": 3}
    found = np.random.default_rng(0)
    theirs = box(bank.sample("n", found, "u/0"))
    assert theirs[1::2] == pytest.approx(box(variants("n")[0])[1::2], abs=0.02)
    for number in range(3):
        left, top, _, bottom = box(bank.sample("z", found, f"u/{number}"))
        assert left == 0.0 and bottom - top == pytest.approx(0.8, rel=0.35)
    chances = bank.hands(np.ones(len(bank.writers)), 0.3)
    assert chances.sum() == pytest.approx(1.0)
    assert chances[bank.writers.index("ann")] == pytest.approx(0.7)


def test_symbols_that_crohme_lacks_take_the_size_of_one_like_them() -> None:
    assert [alike(t) for t in (r"\subset", r"\prod", r"\leftarrow", r"\Omega", r"\nu", "D")] == [
        r"\leq",
        r"\sum",
        r"\rightarrow",
        "A",
        "x",
        "A",
    ]
    model = [Cutting("x", "ann", variants("x")[0]) for _ in range(8)]
    tall = Cutting(r"\nu", "d", (np.array([[0.0, 0.0], [0.0, 9.0]]),))
    bank = extended(
        GlyphBank.pack(model, {"ann": "lines"}), GlyphBank.pack([tall], {"d": f"{FOREIGN}d"})
    )
    found = box(bank.sample(r"\nu", np.random.default_rng(0)))
    assert found[1::2] == pytest.approx(box(variants("x")[0])[1::2], abs=0.01)


def test_without_lines_symbols_have_the_sizes_of_the_font() -> None:
    """However large they were written alone."""
    alone = [
        Cutting(token, "u", tuple(stroke * 7.0 for stroke in variants(token)[0]))
        for token in (",", "-", ")", "x")
    ]
    found = {c.token: box(c.glyph) for c in sized((), GlyphBank.pack(alone, {"u": "unipen"}))}
    for token, (_, top, _, bottom) in found.items():
        heights = [box(glyph)[3] - box(glyph)[1] for glyph in variants(token)]
        assert 0.7 * min(heights) - 0.05 <= bottom - top <= 1.4 * max(heights) + 0.05, token
    assert found["-"][2] == pytest.approx(box(variants("-")[0])[2], rel=0.4)  # a bar keeps a width


def test_sizes_are_mostly_near_the_median_of_the_lines() -> None:
    scales = np.linspace(0.5, 1.5, 101)
    lines = [Cutting("n", "ann", tuple(s * scale for s in variants("n")[0])) for scale in scales]
    alone = [Cutting("n", "u/1", variants("n")[0])] * 400
    bank = GlyphBank.pack(alone, {"u/1": f"{FOREIGN}unipen"})
    heights = [float(np.ptp(np.concatenate(c.glyph), axis=0)[1]) for c in sized(lines, bank)]
    usual = float(np.ptp(np.concatenate(variants("n")[0]), axis=0)[1])
    assert np.mean(heights) == pytest.approx(usual, rel=0.04)
    assert np.std(heights) == pytest.approx(0.2 * usual, rel=0.1)
