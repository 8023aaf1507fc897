from hmer.synthesis.leakage import Leakage


def test_only_long_equal_captions_are_kept_out() -> None:
    held = [["x"], "a + b".split(), "a + b c".split()]
    leakage = Leakage.of(held)
    assert len(leakage) == 1
    assert leakage.allows("a + b".split())
    assert leakage.allows("a + b d".split())
    assert leakage.excluded == 0
    assert not leakage.allows("a + b c".split())
    assert not leakage.allows("a + b c".split())
    assert leakage.excluded == 2
    assert not Leakage.of(held, short=0).allows(["x"])
