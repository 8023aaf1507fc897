"""Shapes of the masking curriculum."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hmer.masking.curriculum import Curriculum, Shape

GROWING: tuple[Shape, ...] = ("linear", "cosine", "step", "fixed")


@pytest.mark.parametrize(
    ("shape", "progress", "share"),
    [
        ("linear", 0.0, 0.1),
        ("linear", 0.25, 0.2),
        ("linear", 1.0, 0.5),
        ("cosine", 0.0, 0.1),
        ("cosine", 0.25, 0.1 + 0.4 * 0.1464466),
        ("cosine", 0.5, 0.3),
        ("cosine", 1.0, 0.5),
        ("step", 0.0, 0.1),
        ("step", 0.24, 0.1),
        ("step", 0.25, 0.1 + 0.4 / 3),
        ("step", 0.5, 0.1 + 0.8 / 3),
        ("step", 0.75, 0.5),
        ("step", 1.0, 0.5),
        ("fixed", 0.0, 0.5),
        ("fixed", 0.6, 0.5),
        ("none", 0.0, 0.0),
        ("none", 0.6, 0.0),
        ("none", 1.0, 0.0),
        ("linear", -1.0, 0.1),
        ("linear", 2.0, 0.5),
    ],
)
def test_by_hand(shape: Shape, progress: float, share: float) -> None:
    curriculum = Curriculum(start=0.1, end=0.5, shape=shape, steps=4)
    assert curriculum.share(progress) == pytest.approx(share)


@given(
    start=st.floats(0, 0.9),
    end=st.floats(0, 0.9),
    shape=st.sampled_from(GROWING),
    steps=st.integers(1, 100),
    a=st.floats(0, 1),
    b=st.floats(0, 1),
)
def test_never_turns_back_nor_leaves_its_bounds(
    start: float, end: float, shape: Shape, steps: int, a: float, b: float
) -> None:
    curriculum = Curriculum(start=start, end=end, shape=shape, steps=steps)
    early, late = curriculum.share(min(a, b)), curriculum.share(max(a, b))
    rises = end >= start
    assert (late >= early - 1e-9) if rises else (late <= early + 1e-9)
    assert min(start, end) - 1e-9 <= late <= max(start, end) + 1e-9
    assert curriculum.share(1.0) == pytest.approx(end)


def test_one_stair_is_the_start() -> None:
    stairs = Curriculum(start=0.2, end=0.6, shape="step", steps=1)
    assert [stairs.share(p) for p in (0.0, 0.5, 0.99)] == pytest.approx([0.2] * 3)


@pytest.mark.parametrize(
    ("field", "share", "said"),
    [("end", 1.0, "hide everything"), ("start", 0.95, "hide nearly everything")],
)
def test_hiding_everything_is_refused_in_one_clear_line(
    field: str, share: float, said: str
) -> None:
    with pytest.raises(ValidationError, match=f"{said} and leave nothing to match from") as caught:
        Curriculum.model_validate({field: share})
    (problem,) = caught.value.errors()
    assert problem["loc"] == (field,)
    assert "\n" not in problem["msg"]


@pytest.mark.parametrize("share", [-0.1, float("nan"), float("inf")])
def test_no_shares(share: float) -> None:
    with pytest.raises(ValidationError):
        Curriculum(end=share)


def test_most_of_the_ink_may_go() -> None:
    assert Curriculum(start=0.9, end=0.9).share(0.3) == pytest.approx(0.9)
