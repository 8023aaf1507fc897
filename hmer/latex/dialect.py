r"""Caption dialects: how the same expression is spelled in each family of published captions.

Measured on the captions of the `wap` release (8835 train, 986 test 2014) against the raw truths:

- `\limits` stands only after `\int` (187 times, all in train). Where raw truths have it after
  `\sum` or `\lim`, which set their limits above and below anyway, the captions drop it.
- Scripts: subscript first, except in 36 train captions whose raw truth has them the other way;
  the test captions are in the same order throughout, whatever the raw truth has. All dialects
  here write the subscript first.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hmer.errors import LatexError


@dataclass(frozen=True, slots=True)
class Dialect:
    r"""A way of writing captions.

    Attributes:
        name: as in `hmer.latex.vocabulary.vocabulary`.
        limits: keep `\limits` after integrals.
        spellings: tokens that the dialect writes otherwise.
        subscript_first: write `_` before `^`; otherwise in the order of the raw truth.
    """

    name: str
    limits: bool = True
    spellings: dict[str, str] = field(default_factory=dict)
    subscript_first: bool = True


_DIALECTS = {
    "wap": Dialect("wap", spellings={"\\Pi": "\\pi"}),
    "comer": Dialect("comer", spellings={"'": "\\prime"}),
    "can": Dialect("can", limits=False, spellings={"\\Pi": "\\pi"}),
}


def dialect_named(name: str) -> Dialect:
    """The dialect of that name.

    Raises:
        LatexError: there is no such dialect.
    """
    try:
        return _DIALECTS[name]
    except KeyError:
        known = ", ".join(_DIALECTS)
        raise LatexError(f"dialect {name!r} is unknown; choose one of {known}") from None
