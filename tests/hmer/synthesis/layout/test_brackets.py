from hmer.synthesis.layout.brackets import bracket_pairs


def test_inner_pairs_come_first() -> None:
    assert list(bracket_pairs("( a ( b ) )".split())) == [(2, 4), (0, 5)]


def test_bars_open_and_close() -> None:
    assert list(bracket_pairs("| a | + | b |".split())) == [(0, 2), (4, 6)]


def test_what_does_not_match_is_left_alone() -> None:
    assert list(bracket_pairs("( a ] )".split())) == [(0, 3)]
    assert list(bracket_pairs(") a (".split())) == []
