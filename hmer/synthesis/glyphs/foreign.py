"""Isolated symbols of other collections, brought to the sizes of a glyph bank and added to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hmer.synthesis.glyphs.bank import Cutting, GlyphBank
from hmer.synthesis.glyphs.font import Glyph, recognisable, variants

_LIKE = {
    r"\leq": r"""
        \ll \gg \approx \cong \equiv \sim \simeq \subset \subseteq \subsetneq \supset \supseteq
        \sqsubseteq \sqsubset \sqsupset \sqsupseteq \supsetneq \ni \propto \asymp \doteq \prec
        \succ \preceq \succeq \lesssim \gtrsim \bowtie \frown \smile
    """,
    r"\neq": r"""
        \notin \nsubseteq \triangleq \models \vdash \Vdash \vDash \dashv \nmid \nparallel
    """,
    r"+": r"""
        \mp \oplus \ominus \otimes \odot \oslash \cap \cup \vee \wedge \uplus \sqcap \sqcup \ltimes
        \rtimes \boxplus \boxtimes \triangleleft \triangleright \lhd \rhd \diamond \star \bigcirc
        \wr \amalg * \ast
    """,
    r"\cdot": r"\bullet \circ",
    r"\rightarrow": r"""
        \leftarrow \leftrightarrow \Rightarrow \Leftarrow \Leftrightarrow \mapsto \hookrightarrow
        \hookleftarrow \rightleftharpoons \rightleftarrows \leftharpoonup \rightharpoonup
        \rightharpoondown \rightsquigarrow \leadsto \twoheadrightarrow
    """,
    r"\sum": r"""
        \prod \coprod \bigcap \bigcup \bigoplus \bigotimes \bigodot \bigvee \bigwedge \biguplus
        \bigsqcup
    """,
    r"\int": r"\iint \iiint \oint",
    r"(": r"""
        \langle \rangle \lfloor \rfloor \lceil \rceil \backslash \setminus
    """,
    r"\beta": r"\zeta \xi \psi \varphi \ell",
    r"p": r"\rho \varrho \eta \chi \jmath",
    r"d": r"\delta \partial \vartheta \hbar \flat \natural \sharp",
    r"=": r":",
    r",": r";",
    r"A": r"""
        % # & $ @ ? \% \# \& \$ \nabla \forall \exists \nexists \aleph \angle \triangle \square
        \emptyset \varnothing \perp \bot \top \dagger \ddagger \surd \wp \mho \therefore \because
        \vdots \ddots \uparrow \downarrow \updownarrow \checkmark \copyright \pounds \bigstar
        \clubsuit \diamondsuit \heartsuit \spadesuit \complement \bigtriangleup \bigtriangledown
        \nearrow \searrow \swarrow \nwarrow \circlearrowleft \circlearrowright \curvearrowright
    """,
}
_ALIKE = {token: like for like, tokens in _LIKE.items() for token in tokens.split()}
_ENOUGH = 8  # samples in lines before the sizes of a class are those of the lines
_FLAT = 0.6  # height over width below which the width tells the size
_WIDEST, _NARROW = 1.4, 0.15  # times the model's width, and symbol units more, at most
_USUAL = 0.2  # deviation of the quantile of its class's sizes from the median
_SPREAD = 0.08  # of the logarithm of the size, where only the font tells it


def extended(bank: GlyphBank, isolated: GlyphBank) -> GlyphBank:
    """The bank with the isolated symbols, each in the size of one that stands in a line."""
    cuttings = list(bank.cuttings())
    groups = isolated.collections | bank.collections
    both = GlyphBank.pack([*cuttings, *sized(cuttings, isolated)], groups)
    return replace(both, about=bank.about)


def sized(lines: Iterable[Cutting], isolated: GlyphBank) -> list[Cutting]:
    """Isolated symbols in the sizes and heights of those that were cut out of lines.

    A symbol alone says nothing of its size and height in a line: each takes those of a sample of
    its class, of a class like it, or, where there are few, the vector font's. They are mostly near
    the median, for one hand's `X` is larger than its `x`, which sizes of any two hands are not.
    Symbols that look like no other of their class are left out, as they are when a bank is cut.
    """
    rng = np.random.default_rng(0)
    inside: dict[str, list[Glyph]] = {}
    for token, _, glyph in lines:
        inside.setdefault(token, []).append(glyph)
    for models in inside.values():
        models.sort(key=lambda glyph: float(_box(glyph)[1].max()))
    cuttings = []
    for token, writer, glyph in isolated.cuttings():
        models = inside.get(token) or inside.get(alike(token), [])
        if len(models) >= _ENOUGH:
            quantile = float(np.clip(rng.normal(0.5, _USUAL), 0.0, 0.999))
            model = models[int(quantile * len(models))]
        else:
            drawn = _of_font(token)
            size = float(np.exp(rng.normal(0.0, _SPREAD)))
            model = tuple(stroke * size for stroke in drawn[int(rng.integers(len(drawn)))])
        cuttings.append(Cutting(token, writer, sized_like(glyph, model)))
    good = recognisable([c.token for c in cuttings], [c.glyph for c in cuttings])
    return [cutting for cutting, fine in zip(cuttings, good.tolist(), strict=True) if fine]


def alike(token: str) -> str:
    """A class of CROHME that stands in a line as tall and as high as this one."""
    if len(token) == 1 or token.startswith((r"\math", r"\not")):
        return "A"
    return _ALIKE.get(token, "A" if token[1:2].isupper() else "x")


def tokens_of(name: str) -> list[str]:
    r"""The caption of a class: one token, but for letters of an alphabet (`\mathbb{R}`)."""
    alphabet, brace, letter = name.partition("{") if len(name) > 2 else (name, "", "")
    return [alphabet, brace, letter[:-1], "}"] if brace else [name]


def sized_like(glyph: Glyph, model: Glyph) -> Glyph:
    """A symbol as large as another and at its height over the baseline; its left at 0."""
    (left, top), (width, height) = _box(glyph)
    (_, level), (wide, high) = _box(model)
    if high < _FLAT * wide or height < _FLAT * width / 2:
        factor = wide / max(width, 1e-6)
    else:
        factor = high / max(height, 1e-6)
    if max(width, height) < 1e-6:  # a dot of one point
        factor = 1.0
    # Symbols written alone into a box fill it: they are often wider than they are in a line.
    across = min(factor, (_WIDEST * wide + _NARROW) / max(width, 1e-6))
    shift = np.array([left, top + height / 2])
    place = np.array([0.0, level + high / 2])
    return tuple((stroke - shift) * (across, factor) + place for stroke in glyph)


def _box(glyph: Glyph) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Left top, and width and height."""
    points = np.concatenate(glyph)
    low, high = points.min(axis=0), points.max(axis=0)
    return low, high - low


def _of_font(token: str) -> tuple[Glyph, ...]:
    """The vector font's glyphs of a class, or of the class like it."""
    try:
        return variants(token)
    except KeyError:
        return variants(alike(token))
