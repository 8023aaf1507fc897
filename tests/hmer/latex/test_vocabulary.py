from __future__ import annotations

import json
import pickle
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmer.errors import LatexError
from hmer.latex.dialect import normalise, spelled
from hmer.latex.mathml import mathml
from hmer.latex.tree import COMMANDS, parse, serialise
from hmer.latex.typed import compact
from hmer.latex.vocabulary import UnknownTokens, Vocabulary, chosen_vocabulary, vocabulary


@pytest.mark.parametrize(("dialect", "size"), [("wap", 113), ("comer", 113), ("can", 112)])
def test_sizes_are_those_of_the_literature(dialect: str, size: int) -> None:
    words = vocabulary(dialect)
    assert (words.name, len(words)) == (dialect, size)
    assert list(words.tokens) == sorted(words.tokens)


def test_dialects_differ_where_they_should() -> None:
    wap, comer, can = (set(vocabulary(name).tokens) for name in ("wap", "comer", "can"))
    assert wap - comer == {"'"}
    assert comer - wap == {"\\Pi"}
    assert wap - can == {"\\limits"}
    assert can < wap
    assert len(wap & comer & can) == 108


def test_letters_that_crohme_lacks() -> None:
    capitals = {token for token in vocabulary("wap").tokens if token.isupper() and len(token) == 1}
    assert capitals == set("ABCEFGHILMNPRSTVXY")


def test_numbers_start_after_the_specials() -> None:
    words = vocabulary("wap")
    assert (words.pad, words.sos, words.eos) == (0, 1, 2)
    assert words.encode(["!", "'"]) == [3, 4]  # ASCII order
    assert words.decode([1, 3, 0, 4, 2, 3]) == ["!", "'"]


def test_encode_decode_every_token() -> None:
    words = vocabulary("comer")
    numbers = words.encode(words.tokens)
    assert numbers == list(range(3, len(words)))
    assert tuple(words.decode(numbers)) == words.tokens


def test_unknown_tokens_are_named() -> None:
    words = vocabulary("wap")
    assert "x" in words
    assert "W" not in words
    with pytest.raises(LatexError, match=r"'wap' lacks 'W' '\\\\Pi'"):
        words.encode(["W", "x", "\\Pi", "W"])


def test_the_remedy_for_an_unknown_token_is_one_that_can_work() -> None:
    with pytest.raises(UnknownTokens, match=r"ingest\.vocabulary 'mathwriting' has them") as caught:
        vocabulary("wap").encode(["x", "\\Pi"])
    assert caught.value.tokens == ("\\Pi",)
    with pytest.raises(UnknownTokens, match=r"a file with the lines `@crohme` and `\\Pi \\zzz`"):
        vocabulary("wap").encode(["\\Pi", "\\zzz"])
    with pytest.raises(UnknownTokens, match=r"a file with the lines `@wide` and `\\zzz`"):
        chosen_vocabulary("wide", "wap").encode(["\\zzz"])
    with pytest.raises(UnknownTokens, match=r"add the line `\\zzz` to the file that ingest"):
        Vocabulary("own", ["x"]).encode(["\\zzz"])
    again = pickle.loads(pickle.dumps(caught.value))  # as from a worker process
    assert (str(again), again.tokens) == (str(caught.value), ("\\Pi",))


def test_the_line_of_the_remedy_is_a_vocabulary_that_has_them(tmp_path: Path) -> None:
    file = tmp_path / "own.txt"
    file.write_text("@crohme\n% my own\n\\Pi \\zzz\n", encoding="utf-8-sig")  # as Notepad has it
    words = chosen_vocabulary(str(file), "wap")
    assert {*words.tokens} == {*vocabulary("wap").tokens, "\\Pi", "\\zzz"}
    words.encode(["\\Pi", "x", "\\zzz"])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a b\n\\alpha a", r"line 2: 'a' is in line 1 already"),
        ("<pad>", r"line 1: '<pad>' is no token"),
        ("\\alphaβ", r"is no token"),
        ("alpha", r"line 1: 'alpha' is no token: write a command"),
        ("\\", r"is no token"),
        ("@none", r"'none' is none of crohme, mathwriting, wide"),
        ("% nothing", "lists no token"),
        ("a\n\\le", r"line 2: captions never have '\\\\le', which they spell \\leq; remove it"),
        ("\\dfrac", r"which they spell \\frac"),
        ("α", r"which they spell \\alpha"),
        (r"\mathrm", r"captions never have '\\\\mathrm'; remove it"),
        ("\\quad", "captions never have"),
    ],
)
def test_a_file_that_is_no_vocabulary(tmp_path: Path, text: str, wanted: str) -> None:
    file = tmp_path / "own.txt"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(LatexError, match=wanted):
        chosen_vocabulary(str(file), "wap", spelled)


def test_no_such_vocabulary(tmp_path: Path) -> None:
    for name in ("broad", "", "a\0b"):
        with pytest.raises(LatexError, match="one of crohme, mathwriting, wide, captions nor a"):
            chosen_vocabulary(name, "wap")
    (tmp_path / "own.txt").write_text("x y", encoding="utf-16")
    with pytest.raises(LatexError, match=r"own\.txt is not UTF-8; save it"):
        chosen_vocabulary(str(tmp_path / "own.txt"), "wap")


@given(st.text(alphabet="ab\\{}%@ \n<>&", max_size=40))
def test_any_file_is_a_vocabulary_or_refused(text: str) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "own.txt"
        file.write_text(text, encoding="utf-8", newline="\n")
        try:
            words = chosen_vocabulary(str(file), "wap", spelled)
        except LatexError:
            return
        assert {"{", "}", "^", "_"} <= {*words.tokens}
        assert all(token in text or token in "{}^_" for token in words.tokens)


@pytest.mark.parametrize("choice", ["mathwriting", "wide"])
def test_every_symbol_of_a_wide_vocabulary_is_read_as_it_is_written(choice: str) -> None:
    words = chosen_vocabulary(choice, "plain")
    structure = {"{", "}", "^", "_", "\\limits", "'", "[", "]", "&", "\\\\"}
    for token in sorted({*words.tokens} - structure):
        groups = "".join("{a}" for group in COMMANDS.get(token, ()) if not group.optional)
        caption = normalise(f"b {token}{groups} c", "plain")
        assert caption[1] == token and not words.unknown(caption), token
        assert serialise(parse(caption)) == caption
        assert mathml(caption) is not None
        assert normalise(compact(caption), "plain") == caption


@pytest.mark.parametrize("number", [-1, 113])
def test_numbers_outside_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match="113"):
        vocabulary("wap").decode([number])


def test_unknown_dialect() -> None:
    with pytest.raises(LatexError, match="choose one of can, comer, plain, wap"):
        vocabulary("latin")


def test_json_round_trip_and_digest() -> None:
    words = vocabulary("wap")
    again = Vocabulary.from_json(words.to_json())
    assert again == words
    assert hash(again) == hash(words)
    assert again.digest == words.digest
    assert again.to_json() == words.to_json()
    assert Vocabulary("wap", words.tokens[:-1]).digest != words.digest
    assert Vocabulary("other", words.tokens).digest != words.digest


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        json.dumps({"name": "a", "tokens": "xy"}),
        json.dumps({"name": 1, "tokens": ["x"]}),
        json.dumps({"name": "a", "tokens": ["x", 1]}),
        json.dumps({"name": "a", "tokens": ["x"], "more": 1}),
        json.dumps({"name": "a", "tokens": ["x", "x"]}),
        json.dumps({"name": "a", "tokens": ["x y"]}),
        json.dumps({"name": "a", "tokens": ["<pad>"]}),
        json.dumps({"name": "a", "tokens": [""]}),
    ],
)
def test_damaged_json_is_refused(text: str) -> None:
    with pytest.raises(LatexError, match="vocabulary"):
        Vocabulary.from_json(text)
