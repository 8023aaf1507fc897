r"""Vocabularies: which tokens a recogniser knows, and their numbers.

The dialects of the published CROHME captions differ in a few tokens; a vocabulary carries its
dialect's name and is stored with the model. Numbers: padding 0, start 1, end 2, then the tokens
in ASCII order (BTTR and CoMER number alike).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import cache

from hmer.errors import LatexError

_CHARACTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCEFGHILMNPRSTVXY!()+,-./<=>[]|{}^_"
_COMMANDS = r"""
    \{ \} \Delta \alpha \beta \gamma \lambda \mu \phi \pi \sigma \theta \cdot \cdots \ldots \div
    \times \pm \leq \geq \neq \in \exists \forall \infty \int \sum \lim \log \sin \cos \tan
    \frac \sqrt \prime \rightarrow
"""
_COMMON = (*_CHARACTERS, *_COMMANDS.split())

_DIALECTS: dict[str, tuple[str, ...]] = {
    "wap": (*_COMMON, "'", "\\limits"),
    "comer": (*_COMMON, "\\Pi", "\\limits"),
    "can": (*_COMMON, "'"),
}

_SPECIALS = ("<pad>", "<sos>", "<eos>")


class UnknownTokens(LatexError):
    """Tokens that a vocabulary lacks.

    Attributes:
        tokens: each once, in order of appearance.
    """

    def __init__(self, message: str, tokens: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.tokens = tuple(tokens)


def remedy_for(unknown: Iterable[str]) -> str:
    """What can be done about tokens that a vocabulary lacks."""
    wanted = set(unknown)
    others = [name for name, tokens in sorted(_DIALECTS.items()) if wanted <= {*tokens}]
    if others:
        return f"the dialect {' or '.join(map(repr, others))} has them"
    return "no dialect has them all: write them otherwise, or leave these expressions out"


class Vocabulary:
    """An immutable, named list of tokens with numbers.

    Attributes:
        name: dialect of the captions.
        tokens: the LaTeX tokens; token i has the number i + 3.
        pad, sos, eos: numbers of padding, start and end.
    """

    pad = 0
    sos = 1
    eos = 2

    def __init__(self, name: str, tokens: Iterable[str]) -> None:
        """Raises LatexError where a token is empty, doubled, has a blank or is a special."""
        self.name = name
        self.tokens = tuple(tokens)
        self._numbers = {token: i + len(_SPECIALS) for i, token in enumerate(self.tokens)}
        if len(self._numbers) < len(self.tokens):
            raise LatexError(f"vocabulary {name!r}: a token is listed twice; list each once")
        for token in self.tokens:
            if not token or token in _SPECIALS or token.split() != [token]:
                raise LatexError(f"vocabulary {name!r}: {token!r} cannot be a token; remove it")

    def __len__(self) -> int:
        """Tokens and specials: the number of classes of a recogniser."""
        return len(_SPECIALS) + len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._numbers

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return (self.name, self.tokens) == (other.name, other.tokens)

    def __hash__(self) -> int:
        return hash((self.name, self.tokens))

    def __repr__(self) -> str:
        return f"Vocabulary({self.name!r}, {len(self.tokens)} tokens, {self.digest[:8]})"

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of name and tokens, to check that model and data agree."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def unknown(self, tokens: Iterable[str]) -> list[str]:
        """The tokens that are not in the vocabulary, each once, in order of appearance."""
        return [token for token in dict.fromkeys(tokens) if token not in self._numbers]

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Numbers of `tokens`, without start and end.

        Raises:
            UnknownTokens: a token is unknown; the message names it.
        """
        tokens = list(tokens)
        if missing := self.unknown(tokens):
            names = " ".join(map(repr, missing))
            reason = f"vocabulary {self.name!r} lacks {names}; {remedy_for(missing)}"
            raise UnknownTokens(reason, missing)
        return [self._numbers[token] for token in tokens]

    def decode(self, numbers: Sequence[int]) -> list[str]:
        """Tokens of `numbers` up to the first end mark; padding and start marks are left out.

        Raises:
            ValueError: a number is outside 0 .. len(self) - 1.
        """
        tokens: list[str] = []
        for number in numbers:
            if not 0 <= number < len(self):
                raise ValueError(f"{number} is no token number of a vocabulary of {len(self)}")
            if number == self.eos:
                break
            if number >= len(_SPECIALS):
                tokens.append(self.tokens[number - len(_SPECIALS)])
        return tokens

    def to_json(self) -> str:
        """Name and tokens as JSON; equal vocabularies give equal text."""
        return json.dumps({"name": self.name, "tokens": self.tokens}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """The vocabulary written by `to_json`.

        Raises:
            LatexError: the text is not such JSON.
        """
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise LatexError(f"vocabulary: not JSON ({error}); write it with to_json") from error
        if not isinstance(found, dict) or found.keys() != {"name", "tokens"}:
            raise LatexError("vocabulary: needs exactly the keys 'name' and 'tokens'")
        name, tokens = found["name"], found["tokens"]
        if not isinstance(name, str) or not isinstance(tokens, list):
            raise LatexError("vocabulary: 'name' must be a text and 'tokens' a list")
        if not all(isinstance(token, str) for token in tokens):
            raise LatexError("vocabulary: every token must be a text")
        return cls(name, tokens)


@cache
def vocabulary(dialect: str) -> Vocabulary:
    r"""The vocabulary of a caption dialect.

    Args:
        dialect: `wap` (WAP, BTTR: 110 tokens with `'` and `\limits`), `comer` (CoMER and its
            descendants: 110, `\Pi` for `'`) or `can` (CAN: 109, no `\limits`).

    Raises:
        LatexError: there is no such dialect.
    """
    try:
        return Vocabulary(dialect, sorted(_DIALECTS[dialect]))
    except KeyError:
        known = ", ".join(sorted(_DIALECTS))
        raise LatexError(f"dialect {dialect!r} is unknown; choose one of {known}") from None
