"""The caption grammar for a vocabulary, as constraints of the search."""

from __future__ import annotations

from functools import lru_cache

from hmer.decoding.backward_grammar import BackwardGrammar
from hmer.decoding.forward_grammar import ForwardGrammar
from hmer.decoding.grammar import Roles
from hmer.latex.tree import COMMANDS, LIMITS, MAX_DEPTH, ROOT, SCRIPTS
from hmer.latex.vocabulary import Vocabulary


def roles(vocabulary: Vocabulary) -> Roles:
    """What the tokens of a vocabulary do in the grammar of `hmer.latex.tree`."""
    specials = frozenset((vocabulary.pad, vocabulary.sos, vocabulary.eos))
    offset = len(vocabulary) - len(vocabulary.tokens)
    numbers = {token: i + offset for i, token in enumerate(vocabulary.tokens)}
    brackets = "[" in numbers and "]" in numbers
    return Roles(
        classes=len(vocabulary),
        specials=specials,
        opening=numbers.get("{"),
        closing=numbers.get("}"),
        scripts=tuple(numbers[mark] for mark in SCRIPTS if mark in numbers),
        limits=numbers.get(LIMITS),
        commands={
            numbers[command]: sum(not group.optional for group in groups)
            for command, groups in COMMANDS.items()
            if command in numbers
        },
        root=numbers.get(ROOT),
        index_opening=numbers["["] if brackets else None,
        index_closing=numbers["]"] if brackets else None,
        max_depth=MAX_DEPTH,
    )


@lru_cache(maxsize=8)
def caption_grammar(vocabulary: Vocabulary) -> tuple[ForwardGrammar, BackwardGrammar]:
    """Constraints for writing from left to right and from right to left."""
    found = roles(vocabulary)
    return ForwardGrammar(found, vocabulary.eos), BackwardGrammar(found, vocabulary.sos)
