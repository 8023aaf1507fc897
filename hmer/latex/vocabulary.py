r"""Vocabularies: which tokens a recogniser knows, and their numbers.

The dialects of the published CROHME captions differ in a few tokens; a vocabulary carries its
dialect's name and is stored with the model. Numbers: padding 0, start 1, end 2, then the tokens
in ASCII order (BTTR and CoMER number alike).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

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
    "plain": (*_COMMON, "\\Pi"),
}

_TOKEN = re.compile(r"\\[A-Za-z]+|\\[^\sA-Za-z]|[^\s\\]")
STRUCTURE = ("{", "}", "^", "_")
"""Tokens without ink, which every vocabulary has."""

_MATHWRITING = r"""
    0 1 2 3 4 5 6 7 8 9 ! \# \% \& ( ) * + , - . / : ; < = > ? [ ] | \{ \}
    a b c d e f g h i j k l m n o p q r s t u v w x y z A B C D E F G H I J K L M N O P Q R S T U V
    W X Y Z \mathbb
    \alpha \beta \gamma \delta \epsilon \zeta \eta \theta \iota \kappa \lambda \mu \nu \xi \pi \rho
    \sigma \tau \upsilon \phi \chi \psi \omega \varepsilon \varphi \varpi \varrho \varsigma
    \vartheta \Gamma \Delta \Theta \Lambda \Xi \Pi \Sigma \Upsilon \Phi \Psi \Omega
    \frac \binom \sqrt \sum \prod \int \iint \oint \bigcap \bigcup \bigoplus \bigvee \bigwedge
    \bigcirc \hat \tilde \vec \overline \underline \bar \dot \widehat \widetilde \prime \not
    \langle \rangle \lfloor \rfloor \lceil \rceil \backslash
    \leq \geq \neq \ll \gg \approx \cong \equiv \propto \sim \simeq \in \ni \notin \sqsubseteq
    \subset \subseteq \subsetneq \supset \supseteq \emptyset \perp \models \vdash \Vdash \triangleq
    \times \div \pm \mp \cdot \bullet \circ \ast \cap \cup \vee \wedge \oplus \ominus \otimes \odot
    \rightarrow \leftarrow \leftrightarrow \Rightarrow \Leftrightarrow \mapsto \hookrightarrow
    \rightleftharpoons \ldots \cdots \vdots \aleph \angle \dagger \exists \forall \hbar \infty
    \nabla \neg \partial \top \triangle \triangleleft \matrix & \\
"""

_LATEX = r"""
    \$ @ ' \limits \lim \log \sin \cos \tan \cot \sec \csc \arcsin \arccos \arctan \sinh \cosh
    \tanh \ln \exp \max \min \sup \inf \det \dim \ker \gcd \arg \deg \mod
    \mathcal \mathfrak \ddot \check \breve \acute \grave \overbrace \underbrace \overrightarrow
    \overset \underset \ell \Re \Im \wp \imath \jmath \S \ddagger \star \diamond \Diamond \Box
    \square \bigstar \clubsuit \diamondsuit \heartsuit \spadesuit \flat \natural \sharp \checkmark
    \degree \therefore \because \mho \varnothing \complement \nexists \bot \surd \copyright \pounds
    \iiint \coprod \biguplus \bigsqcup \bigotimes \bigodot \amalg \setminus \wr \uplus \sqcap \sqcup
    \oslash \ltimes \rtimes \bowtie \boxplus \boxtimes \triangleright \bigtriangleup
    \bigtriangledown \lhd \rhd \prec \succ \preceq \succeq \asymp \doteq \lesssim \gtrsim \sqsubset
    \sqsupset \sqsupseteq \supsetneq \nsubseteq \nmid \nparallel \vDash \dashv \frown \smile
    \uparrow \downarrow \updownarrow \Uparrow \Downarrow \Leftarrow \nearrow \searrow \swarrow
    \nwarrow \hookleftarrow \leftharpoonup \rightharpoonup \rightharpoondown \rightsquigarrow
    \leadsto \twoheadrightarrow \circlearrowleft \circlearrowright \curvearrowright \rightleftarrows
    \ddots
"""

_CHOICES: dict[str, str] = {"mathwriting": _MATHWRITING, "wide": _MATHWRITING + _LATEX}

CHOICES = ("crohme", *_CHOICES)
"""Names of vocabularies that `chosen_vocabulary` has of its own."""

_SPECIALS = ("<pad>", "<sos>", "<eos>")


class UnknownTokens(LatexError):
    """Tokens that a vocabulary lacks.

    Attributes:
        tokens: each once, in order of appearance.
    """

    def __init__(self, message: str, tokens: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.tokens = tuple(tokens)


def remedy_for(unknown: Iterable[str], dialect: str, digest: str) -> str:
    """What can be done about tokens that the vocabulary of this name and digest lacks."""
    wanted = set(unknown)
    for name in _CHOICES:
        if wanted <= {*chosen_vocabulary(name, "wap").tokens}:
            return f"ingest.vocabulary {name!r} has them"
    line = f"`{' '.join(sorted(wanted))}`"
    if dialect in _DIALECTS and (name := _digests(dialect).get(digest, "")):
        return (
            "for a vocabulary with them, set ingest.vocabulary to a file with the lines "
            f"`@{name}` and {line}"
        )
    return f"add the line {line} to the file that ingest.vocabulary names, or lower ingest.least"


@cache
def _digests(dialect: str) -> dict[str, str]:
    """The vocabularies that have a name, by their digests."""
    return {chosen_vocabulary(name, dialect).digest: name for name in CHOICES}


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
            remedy = remedy_for(missing, self.name, self.digest)
            reason = f"vocabulary {self.name!r} lacks {names}; {remedy}"
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
            descendants: 110, `\Pi` for `'`), `can` (CAN: 109, no `\limits`) or `plain` (neither
            `'` nor `\limits`, but `\Pi`: for wider vocabularies).

    Raises:
        LatexError: there is no such dialect.
    """
    try:
        return Vocabulary(dialect, sorted(_DIALECTS[dialect]))
    except KeyError:
        known = ", ".join(sorted(_DIALECTS))
        raise LatexError(f"dialect {dialect!r} is unknown; choose one of {known}") from None


def _as_it_is(token: str, _: str) -> str:
    return token


def chosen_vocabulary(
    choice: str, dialect: str, spelled: Callable[[str, str], str] = _as_it_is
) -> Vocabulary:
    r"""The vocabulary of a name, or of a file of one's own.

    A file lists tokens, separated by blanks; a line that begins with `%` is a comment, one with `@`
    names a vocabulary that is taken in whole, as `@crohme`. Structure (`{ } ^ _`) need not be
    listed.

    Args:
        choice: `crohme` (the tokens of the dialect), `mathwriting` (those of the MathWriting data
            set: Gervais, Fadeeva and Maksai, 2024, appendix, spelled as this library spells them),
            `wide` (these, and LaTeX's usual symbols), or a file's path.
        dialect: in which captions are spelled.
        spelled: how captions have a token of the file (`hmer.latex.dialect.spelled`).

    Raises:
        LatexError: there is no such vocabulary or file, or the file lists something that is no
            token, or that captions never have; file and line are named.
    """
    plain = vocabulary(dialect).tokens
    if choice == "crohme":
        return vocabulary(dialect)
    if choice in _CHOICES:
        return Vocabulary(dialect, sorted({*STRUCTURE, *_CHOICES[choice].split(), *plain}))
    path = Path(choice)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise LatexError(f"{path} is not UTF-8; save it as UTF-8") from error
    except (OSError, ValueError) as error:
        raise LatexError(
            f"ingest.vocabulary {choice!r}: neither one of {', '.join(CHOICES)}, captions nor a "
            f"file of tokens ({error})"
        ) from error
    tokens: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        where = f"{path}, line {number}"
        if line.startswith("@"):
            name = line[1:].strip()
            if name not in CHOICES:
                raise LatexError(f"{where}: {name!r} is none of {', '.join(CHOICES)}")
            tokens |= dict.fromkeys(chosen_vocabulary(name, dialect).tokens, 0)
        elif not line.startswith("%"):
            for token in line.split():
                if tokens.get(token):
                    raise LatexError(f"{where}: {token!r} is in line {tokens[token]} already")
                if not _TOKEN.fullmatch(token):
                    raise LatexError(
                        f"{where}: {token!r} is no token: write a command (\\alpha), an escaped "
                        "sign (\\%) or one character, and blanks between them"
                    )
                if (better := spelled(token, dialect)) != token:
                    instead = f", which they spell {better}" if better else ""
                    raise LatexError(f"{where}: captions never have {token!r}{instead}; remove it")
                tokens[token] = number
    if not tokens:
        raise LatexError(f"{path}: lists no token")
    return Vocabulary(dialect, sorted({*STRUCTURE, *tokens}))
