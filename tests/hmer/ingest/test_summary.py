from hmer.data.schema import Quarantined, Sample
from hmer.ingest.summary import IngestSummary, Tally


def sample(number: str, split: str, writer: str, tokens: str) -> Sample:
    return Sample(number, "s" + writer, split, writer, "", tuple(tokens), b"", 1, 1, 0)


def test_counts_by_hand() -> None:
    tally = Tally()
    for number, split, writer, tokens in (
        ("1", "train", "a", "x"),
        ("2", "train", "b", "x"),
        ("3", "train", "a", "yz"),
        ("1", "val", "c", "x"),
        ("2", "val", "c", "x"),
        ("3", "val", "b", "zy"),
        ("1", "test-1", "d", "y"),
    ):
        assert not tally.seen(sample(number, split, writer, tokens))
        tally.add(sample(number, split, writer, tokens))
    assert tally.seen(sample("3", "val", "z", "q"))
    assert not tally.seen(sample("9", "val", "z", "q"))
    tally.refuse(Quarantined("9", "p/q/9.inkml", "why"))
    tally.refuse(Quarantined("8", "", "why"))

    splits = tally.splits("train", "test-2")
    assert list(splits) == ["test-1", "test-2", "train", "val"]
    train, val = splits["train"], splits["val"]
    assert (train.samples, train.writers, train.distinct_labels) == (3, 2, 2)
    assert train.by_source == {"sa": 2, "sb": 1}
    assert (val.samples, val.writers, val.distinct_labels) == (3, 2, 2)
    assert (val.labels_in_train, val.writers_in_train) == (2, 1)
    assert splits["test-1"].labels_in_train == splits["test-2"].samples == 0
    assert tally.refused == {"": 1, "q": 1}


def test_data_that_are_all_for_validation_are_told() -> None:
    tally = Tally()
    tally.add(sample("1", "val", "anna", "x"))
    summary = IngestSummary(
        source="images", dialect="wap", vocabulary="", splits=tally.splits("train"), quarantined=0,
        quarantined_by_folder={},
    )  # fmt: skip
    told = summary.lack(0.5, ["data/raw/images"])
    assert "data/raw/images, by 1 writers, is all for validation (val_share 0.5)" in told
    tally.refuse(Quarantined("2", "p/2.png", "torn"))
    some = summary.model_copy(update={"quarantined": 1, "reasons": tally.reasons})
    told = some.lack(0.5, ["data/raw/images"])
    assert "is all for validation" in told and "1 expression was refused: 1 as: torn" in told
    tests = Tally()
    tests.add(sample("1", "test-own", "zoe", "x"))
    own = summary.model_copy(update={"splits": tests.splits("train", "val")})
    assert "by 1 writers, is all for test-own" in own.lack(0.1, ["data/raw/images"])
    empty = summary.model_copy(update={"splits": Tally().splits("train")})
    assert "nothing was found in data/raw/images" in empty.lack(0.5, ["data/raw/images"])


def test_tokens_are_not_run_together() -> None:
    tally = Tally()
    tally.add(Sample("1", "s", "train", "a", "", ("ab", "c"), b"", 1, 1, 0))
    tally.add(Sample("2", "s", "train", "a", "", ("a", "bc"), b"", 1, 1, 0))
    assert tally.splits()["train"].distinct_labels == 2


def test_label_noise_is_counted_per_split() -> None:
    tally = Tally()
    for number, split, noisy in (("1", "train", True), ("2", "train", False), ("1", "val", True)):
        tally.add(sample(number, split, "a", "x"), noisy=noisy)
    assert {k: v.label_noise for k, v in tally.splits().items()} == {"train": 1, "val": 1}


def test_reasons_of_one_kind_are_counted_together() -> None:
    tally = Tally()
    for number in "atx":
        name = f"p/{number}.png"
        tally.refuse(
            Quarantined(f"{number}", name, f"{name}: {ord(number)} pixels, at least 4 wanted")
        )
    tally.refuse(Quarantined("a", "p/a.png", "vocabulary 'wap' lacks 'D'; spell it"), ("D",))
    tally.refuse(
        Quarantined("b", "p/b.png", "vocabulary 'wap' lacks 'K' 'D'; spell it"), ("K", "D")
    )
    reasons = [(reason.count, reason.example) for reason in tally.reasons]
    assert reasons == [
        (3, "p/a.png: 97 pixels, at least 4 wanted"),
        (2, "the vocabulary lacks tokens of the caption"),
    ]
    tally.refuse(Quarantined("", "", "torn"))
    tally.refuse(Quarantined("", "", "broken"))
    assert [reason.count for reason in tally.reasons] == [3, 2, 1, 1]
    assert tally.unknown_tokens == {"D": 2, "K": 1}


def test_kinds_are_bounded() -> None:
    tally = Tally()
    for number in range(3000):
        word = "".join(chr(97 + int(digit)) for digit in str(number))
        tally.refuse(Quarantined("x", "f.png", f"reason {word}"))
    assert len(tally.reasons) == 1001
    assert sum(reason.count for reason in tally.reasons) == 3000
