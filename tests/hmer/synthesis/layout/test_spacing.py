from hmer.synthesis.layout.spacing import Kind, gap, kind


def test_kinds() -> None:
    assert kind("7") is Kind.DIGIT
    assert kind(r"\sin") is Kind.OPERATOR
    assert kind(r"\leq") is Kind.RELATION
    assert kind(r"\frac") is Kind.ORDINARY


def test_digits_stand_closer_than_operators_and_relations_furthest() -> None:
    assert gap(None, "1", "2") < gap("x", "+", "y") < gap("x", "=", "y")


def test_a_sign_stands_closer_to_its_number_than_an_operator_does() -> None:
    assert gap(None, "-", "2") < gap("x", "-", "2")
    assert gap("=", "-", "2") == gap(None, "-", "2")


def test_a_decimal_point_is_no_punctuation() -> None:
    assert gap(None, "3", ".") == gap("3", ".", "1") < gap("x", ",", "y")
