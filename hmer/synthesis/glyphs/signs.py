"""Further signs of the vector font: what the shipped vocabulary has and CROHME's captions have not.

Nothing is measured by them, as glyph banks are by `hmer.synthesis.glyphs.font`: expressions that
are asked for are written with them.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np

from hmer.synthesis.glyphs.font import DRAWN, Glyph, font_glyph, parse_drawn, resample, variants

_RING = "60,42 51,63 30,72 9,63 0,42 9,21 30,12 51,21 60,42"
_SQUARE = "4,76 2,8! 60,8! 60,76! 3,76"
_PLUS, _CROSS = "30,70 30,14 | 2,42 58,42", "10,62 50,22 | 50,62 10,22"
_ARROW, _HEAD = "2,42 94,42", "72,62 95,42! 72,22"
_LESS, _PRECEDES = "56,86 6,56! 56,26", "58,90 44,66 6,54! 44,42 58,20"
_INCLUDED, _CORNER = "58,84 24,80 6,56 24,32 58,28", "58,84 6,84! 6,28! 58,28"
_SIGMOID = "2,{0} 14,{1} 28,{2} 42,{0} 54,{0} 64,{1}"
_INTEGRAL = DRAWN[r"\int"][0]


def _wave(y: int) -> str:
    return _SIGMOID.format(y, y + 14, y + 11)


def _bars(*heights: int) -> str:
    return " | ".join(f"4,{y} 60,{y}" for y in heights)


def _moved(text: str, right: int) -> str:
    return re.sub(r"(-?\d+),", lambda x: f"{int(x[1]) + right},", text)


_DRAWN = {
    r"\mp": "2,62 58,62 | 30,52 30,-4 | 2,82 58,82",
    r"\ast": "30,70 30,14 | 6,56 54,28 | 54,56 6,28",
    r"\equiv": _bars(66, 42, 18),
    r"\sim": _wave(36),
    r"\approx": f"{_wave(52)} | {_wave(22)}",
    r"\simeq": f"{_wave(46)} | {_bars(20)}",
    r"\cong": f"{_wave(64)} | {_bars(38, 14)}",
    r"\doteq": f"{_bars(54, 28)} | 30,80 33,82 34,79",
    r"\triangleq": f"{_bars(40, 14)} | 32,96 16,62! 48,62! 32,96",
    r"\asymp": "2,76 18,60 44,60 60,76 | 2,8 18,24 44,24 60,8",
    r"\bowtie": "4,76 4,8! 66,76! 66,8! 4,76",
    r"\propto": "72,68 52,58 32,28 16,18 4,42 16,66 32,56 52,26 72,16",
    r"\ll": "46,76 4,42! 46,8 | 84,76 42,42! 84,8",
    r"\prec": "58,78 44,54 6,42! 44,30 58,6",
    r"\preceq": f"{_PRECEDES} | {_bars(6)}",
    r"\lesssim": f"{_LESS} | {_wave(-4)}",
    r"\subset": "58,76 24,72 4,42 24,12 58,8",
    r"\subseteq": f"{_INCLUDED} | {_bars(6)}",
    r"\subsetneq": f"{_INCLUDED} | {_bars(6)} | 42,22 22,-10",
    r"\nsubseteq": f"{_INCLUDED} | {_bars(6)} | 48,102 14,-8",
    r"\sqsubset": "58,76 6,76! 6,8! 58,8",
    r"\sqsubseteq": f"{_CORNER} | {_bars(6)}",
    r"\notin": f"{DRAWN[chr(92) + 'in'][0]} | 50,100 18,-16",
    r"\nexists": f"{DRAWN[chr(92) + 'exists'][0]} | 58,136 4,-14",
    r"\cup": "4,80 6,26 30,2 54,26 56,80",
    r"\uplus": "4,84 6,26 30,0 54,26 56,84 | 30,64 30,28 | 14,46 46,46",
    r"\sqcup": "4,80 4,4! 58,4! 58,80",
    r"\vee": "2,80 30,4! 58,80",
    r"\bigcirc": _RING,
    r"\oplus": f"{_RING} | {_PLUS}",
    r"\ominus": f"{_RING} | 2,42 58,42",
    r"\otimes": f"{_RING} | {_CROSS}",
    r"\odot": f"{_RING} | 28,42 31,45 33,41",
    r"\oslash": f"{_RING} | 48,66 12,18",
    r"\square": _SQUARE,
    r"\boxplus": f"{_SQUARE} | 31,74 31,10 | 4,42 58,42",
    r"\boxtimes": f"{_SQUARE} | 4,74 58,10 | 58,74 4,10",
    r"\circ": "28,42 15,54 3,42 15,30 28,42",
    r"\degree": "28,112 15,125 3,112 15,99 28,112",
    r"\bullet": "26,42 15,52 5,42 15,32 24,42 15,48 9,42 15,37 20,42 14,44 16,40",
    r"\star": "34,84 14,8! 66,56! 2,56! 54,8! 34,84",
    r"\diamond": "30,78 4,42! 30,6! 56,42! 30,78",
    r"\triangle": "34,92 2,0! 68,0! 34,92",
    r"\triangleleft": "58,76 4,42! 58,8! 58,76",
    r"\wr": "14,88 26,66 6,42 26,18 12,-4",
    r"\ltimes": "8,74 8,10 | 8,74 58,10 | 8,10 58,74",
    r"\therefore": "30,66 33,69 34,65 | 6,8 9,11 10,7 | 54,8 57,11 58,7",
    r"\vdots": "10,88 13,91 14,87 | 10,42 13,45 14,41 | 10,-4 13,-1 14,-5",
    r"\ddots": "4,88 7,91 8,87 | 40,42 43,45 44,41 | 76,-4 79,-1 80,-5",
    r"\leftrightarrow": f"{_ARROW} | {_HEAD} | 24,62 1,42! 24,22",
    r"\Rightarrow": "2,54 82,54 | 2,30 82,30 | 66,80 98,42! 66,4",
    r"\Leftrightarrow": "16,54 86,54 | 16,30 86,30 | 70,80 102,42! 70,4 | 32,80 0,42! 32,4",
    r"\twoheadrightarrow": f"{_ARROW} | {_HEAD} | 50,62 73,42! 50,22",
    r"\mapsto": f"4,62 4,22 | 4,42 94,42 | {_HEAD}",
    r"\hookrightarrow": f"16,72 2,66 4,46 20,42 94,42 | {_HEAD}",
    r"\rightharpoonup": "2,42 95,42! 68,66",
    r"\rightleftharpoons": "2,54 95,54! 70,76 | 95,30 2,30! 26,8",
    r"\rightleftarrows": "2,60 94,60 | 76,78 95,60! 76,44 | 95,24 2,24 | 20,40 2,24! 20,6",
    r"\leadsto": f"2,42 14,56 28,42 42,28 56,42 68,52 94,42 | {_HEAD}",
    r"\uparrow": "30,-20 30,124 | 8,96 30,126! 52,96",
    r"\Uparrow": "18,-20 18,108 | 42,-20 42,108 | -4,92 30,128! 64,92",
    r"\updownarrow": "30,-38 30,124 | 8,96 30,126! 52,96 | 8,-10 30,-40! 52,-10",
    r"\nearrow": "2,0 84,86 | 46,84 86,88! 84,46",
    r"\circlearrowleft": "14,18 34,4 62,16 70,44 56,72 28,78 8,60 6,40 | -6,54 6,36! 22,52",
    r"\curvearrowright": "2,20 10,56 40,74 70,56 78,22 | 60,40 78,18! 94,42",
    r"\vdash": "6,84 6,0 | 6,42 58,42",
    r"\Vdash": "4,84 4,0 | 20,84 20,0 | 20,42 64,42",
    r"\models": "6,84 6,0 | 6,54 58,54 | 6,30 58,30",
    r"\bot": "34,88 34,2 | 2,2 66,2",
    r"\nmid": "20,136 20,-24 | 2,30 38,80",
    r"\nparallel": "14,136 14,-24 | 40,136 40,-24 | 0,26 54,84",
    r"\langle": "26,136 4,55! 26,-26",
    r"\lfloor": "6,136 6,-26! 30,-26",
    r"\backslash": "2,130 46,-10",
    r"\surd": "2,40 14,52! 28,0! 56,122",
    r"\neg": "2,60 58,60! 58,28",
    r"\partial": "14,104 30,122 48,104 50,54 36,8 16,2 6,24 16,52 36,58 50,44",
    r"\emptyset": "34,118 10,98 2,60 10,18 34,2 58,20 66,60 58,100 34,118 | 60,130 6,-8",
    r"\ell": "2,14 30,56 44,100 34,124 20,100 16,30 30,2 54,22",
    r"\hbar": f"{DRAWN['h'][0]} | 0,94 42,108",
    r"\imath": "2,66 12,78! 12,20 22,0 34,10",
    r"\jmath": "14,68 24,80! 24,0 14,-38 -8,-34",
    r"\aleph": "6,112 66,4 | 58,116 62,84 42,58 | 20,88 4,48 10,6 | 2,4 18,6",
    r"\pounds": "60,102 44,124 26,104 28,50 8,4! 34,12 62,4 | 6,58 48,60",
    r"\copyright": "100,56 86,94 50,110 14,94 0,56 14,18 50,2 86,18 100,56 | "
    "68,76 50,84 32,70 32,42 50,28 68,36",
    r"\dagger": "26,125 26,-24 | 2,86 50,86",
    r"\ddagger": "26,125 26,-24 | 2,88 50,88 | 2,14 50,14",
    r"\flat": "8,132 8,2! 42,40 30,62 8,46",
    r"\natural": "8,128 8,24! 44,36 | 8,72 44,84! 44,-20",
    r"\sharp": "16,118 16,-14 | 42,128 42,-4 | 0,66 58,80 | 0,28 58,42",
    r"\checkmark": "2,48 18,8! 64,112",
    r"\complement": "44,98 36,118 16,116 6,84 8,26 24,0 44,18",
    r"\angle": "62,86 4,2! 72,2",
    r"\iint": f"{_INTEGRAL} | {_moved(_INTEGRAL, 40)}",
    r"\iiint": f"{_INTEGRAL} | {_moved(_INTEGRAL, 40)} | {_moved(_INTEGRAL, 80)}",
    r"\oint": f"{_INTEGRAL} | 50,62 40,82 18,82 4,62 16,42 40,42 50,62",
    r"\smile": "2,58 18,34 46,34 62,58",
    r"\varpi": "0,70 12,80 80,80 | 14,78 4,30 18,2 34,14 40,46! 48,6 66,6 76,40 66,78",
    r"\varsigma": "56,70 36,82 10,62 10,30 38,14 46,-14 26,-28",
    r"\prod": "2,140 78,140 | 18,140 16,-24 | 62,140 62,-24",
}
"""Token to its strokes, in the notation of `hmer.synthesis.glyphs.font`."""

_HERSHEY = {
    "futural": {
        **{sign: sign for sign in "*:;?@"},
        **{f"\\{sign}": sign for sign in "#$%&"},
    },
    "greek": dict(
        zip(
            r"""\Gamma \Lambda \Omega \Phi \Psi \Sigma \Theta \Upsilon \Xi \chi \delta \epsilon \eta
            \iota \kappa \nu \omega \psi \rho \tau \upsilon \xi \zeta \vartheta \varphi""".split(),
            "GLWFYSQUXcdehiknwyrtuxzqf",
            strict=True,
        )
    ),
    "symbolic": {
        r"\S": "i", r"\spadesuit": "m", r"\heartsuit": "n", r"\diamondsuit": "o",
        r"\clubsuit": "p", r"\wp": "w",
    },
    "scripts": {r"\Im": "I", r"\Re": "R"},
}  # fmt: skip
_SAME = {
    r"\backslash": r"\setminus", r"\square": r"\Box", r"\emptyset": r"\varnothing",
    r"\bot": r"\perp", r"\models": r"\vDash", r"\leadsto": r"\rightsquigarrow",
    r"\epsilon": r"\varepsilon", r"\rho": r"\varrho", r"\triangleleft": r"\lhd",
}  # fmt: skip
_MIRRORED = {
    r"\ll": r"\gg", r"\prec": r"\succ", r"\preceq": r"\succeq", r"\lesssim": r"\gtrsim",
    r"\subset": r"\supset", r"\subseteq": r"\supseteq", r"\subsetneq": r"\supsetneq",
    r"\sqsubset": r"\sqsupset", r"\sqsubseteq": r"\sqsupseteq", r"\in": r"\ni",
    r"\triangleleft": r"\triangleright", r"\lhd": r"\rhd", r"\ltimes": r"\rtimes",
    r"\rightarrow": r"\leftarrow", r"\Rightarrow": r"\Leftarrow", r"\nearrow": r"\nwarrow",
    r"\hookrightarrow": r"\hookleftarrow", r"\rightharpoonup": r"\leftharpoonup",
    r"\circlearrowleft": r"\circlearrowright", r"\vdash": r"\dashv", r"\langle": r"\rangle",
    r"\lfloor": r"\rfloor", r"\lceil": r"\rceil", r"\searrow": r"\swarrow",
}  # fmt: skip
_UPSIDE_DOWN = {
    r"\cup": r"\cap", r"\sqcup": r"\sqcap", r"\vee": r"\wedge", r"\therefore": r"\because",
    r"\uparrow": r"\downarrow", r"\Uparrow": r"\Downarrow", r"\nearrow": r"\searrow",
    r"\rightharpoonup": r"\rightharpoondown", r"\bot": r"\top", r"\lfloor": r"\lceil",
    r"\Delta": r"\nabla", r"\Omega": r"\mho", r"\smile": r"\frown", r"\prod": r"\coprod",
    r"\bigtriangleup": r"\bigtriangledown",
}  # fmt: skip
_LARGE = {
    r"\cup": r"\bigcup", r"\cap": r"\bigcap", r"\vee": r"\bigvee", r"\wedge": r"\bigwedge",
    r"\oplus": r"\bigoplus", r"\otimes": r"\bigotimes", r"\odot": r"\bigodot",
    r"\uplus": r"\biguplus", r"\sqcup": r"\bigsqcup", r"\star": r"\bigstar",
    r"\triangle": r"\bigtriangleup", r"\diamond": r"\Diamond", r"\coprod": r"\amalg",
}  # fmt: skip
_FACTORS = {r"\bigstar": 1.3, r"\bigtriangleup": 1.4, r"\Diamond": 1.3, r"\amalg": 0.5}
_OTHERS = {
    new: (old, change)
    for change, pairs in (("", _SAME), ("x", _MIRRORED), ("y", _UPSIDE_DOWN), ("*", _LARGE))
    for old, new in pairs.items()
}
_LETTER = re.compile(r"\\math(bb|cal)\{([A-Za-z])\}")
_APART = 0.14  # symbol units between the two stems of a blackboard letter


@cache
def written(token: str) -> tuple[Glyph, ...]:
    r"""All ways to write a sign, those of `font.variants` included, and letters as `\mathbb{R}`.

    Raises:
        KeyError: the token has no glyph.
    """
    if token in _DRAWN:
        return (parse_drawn(_DRAWN[token]),)
    for font, signs in _HERSHEY.items():
        if token in signs:
            return (font_glyph(font, signs[token]),)
    if token in _OTHERS:
        old, change = _OTHERS[token]
        return tuple(_changed(glyph, change, _FACTORS.get(token, 1.9)) for glyph in written(old))
    if letter := _LETTER.fullmatch(token):
        if letter[1] == "cal":
            return (font_glyph("scripts", letter[2]),)
        stem, *rest = font_glyph("futural", letter[2])
        return ((stem, stem + np.array([_APART, 0.0]), *rest),)
    return variants(token)


def _changed(glyph: Glyph, change: str, factor: float) -> Glyph:
    """Mirrored (x), upside down (y), or larger (*), with its middle where it was."""
    points = np.concatenate(glyph)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    matrix = {"x": (-1.0, 1.0), "y": (1.0, -1.0), "*": (factor, factor)}.get(change, (1.0, 1.0))
    return tuple(resample((stroke - middle) * matrix + middle) for stroke in glyph)
