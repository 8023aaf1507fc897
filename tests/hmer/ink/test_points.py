"""The text of a trace."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmer.errors import InkError
from hmer.ink.points import Format, read_points

Rows = list[tuple[int, int]]


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("1 2, 3 4", [(1, 2), (3, 4)]),
        ("1 2,\n3\t4,", [(1, 2), (3, 4)]),
        ("+1.5 -2e1", [(1.5, -20)]),
        ("1 2,'3'4,5 6", [(1, 2), (4, 6), (9, 12)]),
        ("1 2,'3'4,!5!6,7 8", [(1, 2), (4, 6), (5, 6), (7, 8)]),
        # The Recommendation's own example, 3.3.2.
        ("1125 18432,'23'43,\"7\"-8,3-5",
         [(1125, 18432), (1148, 18475), (1178, 18510), (1211, 18540)]),
        ("1 2,'3-4,*-1,*3", [(1, 2), (4, -4), (7, -1), (10, 3)]),
        ("1 2,3 5,\"1\"1,* *", [(1, 2), (3, 5), (6, 9), (10, 14)]),
        ("1 2,* 3,*5", [(1, 2), (1, 3), (1, 5)]),
        ("1 2,? 3,5 ?,6 7", [(1, 2), (6, 7)]),
        ("#1F -#A,'#2'-#2", [(31, -10), (33, -12)]),
        ("1 2 T,3 4F,5 6", [(1, 2), (3, 4), (5, 6)]),
        ("1-2,3-4", [(1, -2), (3, -4)]),
        ("", []),
        (" , ,", []),
    ],
)  # fmt: skip
def test_values(text: str, points: list[tuple[float, float]]) -> None:
    assert read_points(text, Format(), "a").tolist() == [list(point) for point in points]


@pytest.mark.parametrize(
    ("text", "form", "reason"),
    [
        ("1,2 3,4 5", Format(), "SVG"),
        ("0,5 1,5, 2,5 3,5", Format(), "point in decimals"),
        ("1 2; 3 4", Format(), "plain numbers"),
        ("1 2 3 4 5 6 7 8 9 10 11 12", Format(), "comma after each point"),
        ("1 2,3", Format(), "plain numbers"),
        ("1 T", Format(), "plain numbers"),
        ("'1 2", Format(), "plain numbers"),
        ("* 2", Format(), "plain numbers"),
        ("1.5.5", Format(), "plain numbers"),
        ("1 2!", Format(), "plain numbers"),
        ("1 2 3, 4 5", Format(0, 1, 3, 3), "2 values where the trace format has 3"),
        ("1 2, 3 4", Format(0, 2, 3, 3), "2 values where the trace format has 3"),
        ("1 2'3, 4'5", Format(0, 1, 3, 3), "2 values where the trace format has 3"),
        ("1 2 3", Format(guessed=True), "contextRef"),
        ("#" + "F" * 400 + " 2'3", Format(), "plain numbers"),
    ],
)
def test_what_is_no_list_of_points(text: str, form: Format, reason: str) -> None:
    with pytest.raises(InkError, match=reason) as caught:
        read_points(text, form, "a")
    assert "\n" not in str(caught.value)


def test_a_whole_trace_may_lack_the_last_channels() -> None:
    assert read_points("1 2, 3 4", Format(0, 1, 3, 3), "a").tolist() == [[1, 2], [3, 4]]


def encoded(rows: Rows, orders: list[str], blanks: bool) -> str:
    """The rows in W3C's encoding, the order of difference of each as given, as far as it can be."""
    texts, last = [], "!"
    for at, row in enumerate(rows):
        order = orders[at] if at else "!"
        text = ""
        for axis, value in enumerate(row):
            before, ago = rows[at - 1][axis], rows[at - 2][axis] if at > 1 else rows[at - 1][axis]
            number = {"!": value, "'": value - before, '"': value - 2 * before + ago}[order]
            number = number if at else value
            prefix = order if order != last or not at else ""
            text += (" " if blanks or (axis and not prefix and number >= 0) else "") + prefix
            text += str(number)
        last = order
        texts.append(text)
    return ",".join(texts)


whole = st.integers(-(10**6), 10**6)


@given(
    st.lists(st.tuples(whole, whole), min_size=1, max_size=30),
    st.lists(st.sampled_from("!'\""), min_size=30, max_size=30),
    st.booleans(),
)
def test_differences_give_the_points_back(rows: Rows, orders: list[str], blanks: bool) -> None:
    found = read_points(encoded(rows, orders, blanks), Format(), "a")
    np.testing.assert_array_equal(found, np.array(rows, float))


@given(st.text(st.sampled_from("0123456789.,-+ '\"!#*?TFeE\n;"), max_size=60))
def test_any_text_gives_points_or_an_ink_error(text: str) -> None:
    try:
        found = read_points(text, Format(), "a")
    except InkError as error:
        assert str(error).startswith("a: ")
    else:
        assert found.shape[1:] == (2,)
