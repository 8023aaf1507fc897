from __future__ import annotations

from hmer.latex import spellings
from hmer.latex.reader import tokenize
from hmer.latex.tree import COMMANDS, SCRIPTS


def test_tables_do_not_overlap() -> None:
    tables = [
        spellings.BLANKS,
        spellings.UNSEEN,
        set(spellings.SWITCHES),
        spellings.FONTS,
        spellings.FENCES,
        spellings.SIZES,
        set(spellings.SYNONYMS),
        set(COMMANDS),
    ]
    names = [name for table in tables for name in table]
    assert len(names) == len(set(names))


def test_every_spelling_is_one_token_and_final() -> None:
    for name, meaning in spellings.SYNONYMS.items():
        assert tokenize(name) == [name]
        for token in meaning:
            assert tokenize(token) == [token]
            assert token not in spellings.SYNONYMS
            assert token not in spellings.BLANKS
    assert {spellings.SYNONYMS["\\sp"][0], spellings.SYNONYMS["\\sb"][0]} == SCRIPTS.keys()
