from __future__ import annotations

import pytest

from hmer.errors import LatexError
from hmer.latex.dialect import dialect_named
from hmer.latex.vocabulary import vocabulary


@pytest.mark.parametrize("name", ["wap", "comer", "can"])
def test_dialects_agree_with_their_vocabulary(name: str) -> None:
    dialect, words = dialect_named(name), vocabulary(name)
    assert dialect.name == name
    assert dialect.limits == ("\\limits" in words)
    for other, own in dialect.spellings.items():
        assert other not in words
        assert own in words


def test_unknown_dialect() -> None:
    with pytest.raises(LatexError, match="choose one of wap, comer, can"):
        dialect_named("latin")
