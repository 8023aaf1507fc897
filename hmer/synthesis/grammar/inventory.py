"""Which symbols synthesised expressions use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Symbols = Literal["school", "full"]


@dataclass(frozen=True, slots=True)
class Inventory:
    """Tokens by the role they play in an expression; an empty tuple switches a role off."""

    variables: tuple[str, ...]
    indices: tuple[str, ...]
    constants: tuple[str, ...]
    functions: tuple[str, ...]
    trigonometric: tuple[str, ...]
    products: tuple[str, ...]
    sums: tuple[str, ...]
    relations: tuple[str, ...]
    brackets: tuple[tuple[str, str], ...]
    sets: tuple[str, ...] = ()
    quantifiers: tuple[str, ...] = ()
    primes: bool = False
    factorial: bool = False
    decimals: bool = False
    ellipses: bool = False
    limits_command: bool = False
    slash: bool = False


SCHOOL = Inventory(
    variables=tuple("abcdkmntxyzxxyAB"),
    indices=tuple("nkn"),
    constants=(r"\alpha", r"\beta", r"\theta", r"\pi"),
    functions=(),
    trigonometric=(r"\sin", r"\cos"),
    products=(r"\times",),
    sums=("+", "-", "+"),
    relations=("=", "=", "=", "<", ">"),
    brackets=(("(", ")"),),
)
FULL = Inventory(
    variables=tuple("abcdefghijklmnopqrstuvwxyzxxyzabcnABCEFGHILMNPRSTVXY"),
    indices=tuple("ijknmp"),
    constants=(
        *(r"\alpha", r"\beta", r"\gamma", r"\lambda", r"\mu", r"\phi", r"\pi", r"\sigma"),
        *(r"\theta", r"\Delta", "e", r"\pi", r"\theta"),
    ),
    functions=(*"ffgFGhPu", r"\phi"),
    trigonometric=(r"\sin", r"\cos", r"\tan"),
    products=(r"\times", r"\cdot", r"\div", r"\times"),
    sums=("+", "-", "+", "-", r"\pm"),
    relations=("=", "=", "=", "=", r"\leq", r"\geq", r"\neq", "<", ">"),
    brackets=(("(", ")"), ("(", ")"), ("[", "]"), ("|", "|"), (r"\{", r"\}")),
    sets=tuple("ABCEFGHILMNPRSTVXY"),
    quantifiers=(r"\forall", r"\exists"),
    primes=True,
    factorial=True,
    decimals=True,
    ellipses=True,
    limits_command=True,
    slash=True,
)
INVENTORIES: dict[Symbols, Inventory] = {"school": SCHOOL, "full": FULL}
