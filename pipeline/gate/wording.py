"""What a person is told of each expectation: what it asserts, and what to do where it fails."""

from __future__ import annotations

from typing import NamedTuple


class Wording(NamedTuple):
    """A sentence that is true of good data, and the remedy for data that breaks it."""

    title: str
    remedy: str


_DRIFT = "Look at the plots: if the shift is meant, raise the threshold; if not, mend the split."

WORDING: dict[str, Wording] = {
    "schema": Wording(
        "Files keep the data contract",
        "Run ingest again: these files were not written by it, or by another version.",
    ),
    "complete": Wording(
        "No required value is empty",
        "Give these rows the values named, in the source, and ingest again.",
    ),
    "split_agrees": Wording(
        "Rows lie in the file of their split",
        "Run ingest again: rows have been moved between files.",
    ),
    "unique_id": Wording(
        "Ids are unique within their split",
        "Rename or remove the second of each pair in the source, and ingest again.",
    ),
    "enough_rows": Wording(
        "Train, val and each test set have enough rows",
        "Add data, or lower validate.min_train_rows or validate.min_rows.",
    ),
    "quarantine_share": Wording(
        "Little was refused by ingest",
        "Read the reasons in the quarantine table; mend the source, or raise "
        "validate.max_quarantine_share. A few (validate.few_rows) are a warning.",
    ),
    "label_overlap": Wording(
        "Few labels of val and test occur in train",
        "Usual where writers copied the same formulas. If it is not meant, split by label.",
    ),
    "symbol_drift": Wording(
        "Symbols are distributed as in train",
        _DRIFT,
    ),
    "length_drift": Wording(
        "Label lengths are distributed as in train",
        _DRIFT,
    ),
    "size_drift": Wording(
        "Picture heights and widths are distributed as in train",
        _DRIFT,
    ),
    "symbol_learnable": Wording(
        "Symbols that val or test uses are common enough in train",
        "These symbols cannot be learnt: add examples, or expect errors on them.",
    ),
    "vocabulary": Wording(
        "Tokens are in the vocabulary",
        "Correct these labels or leave them out; another dialect (ingest.dialect) helps only where "
        "its vocabulary has the tokens named.",
    ),
    "label_parses": Wording(
        "Labels parse",
        "Correct these labels in the source (the position is named), and ingest again.",
    ),
    "label_length": Wording(
        "Labels have a usable length",
        "Longer labels are cut off by the decoder: leave them out or raise validate.max_tokens "
        "and the decoder's limit.",
    ),
    "label_depth": Wording(
        "Labels are not nested absurdly deep",
        "Look whether these labels are meant.",
    ),
    "caption_agrees": Wording(
        "Captions are what their raw truths normalise to",
        "Either may be wrong: the explanation is named, with what the raw truth gives. Correct "
        "the caption file, or leave it out.",
    ),
    "annotations_agree": Wording(
        "Caption, structure and symbols of an expression agree",
        "Label noise: correct these files, or expect these labels to teach errors.",
    ),
    "image_decodes": Wording(
        "Pictures decode to their declared size",
        "Run ingest again; if it stays, the source pictures are damaged.",
    ),
    "image_height": Wording(
        "Picture heights are within bounds",
        "Leave these rows out, rescale them, or change validate.min_side and max_height.",
    ),
    "image_width": Wording(
        "Picture widths are within bounds",
        "Leave these rows out, rescale them, or change validate.min_side and max_width.",
    ),
    "ink_share": Wording(
        "Pictures are neither blank nor saturated",
        "Blank: the ink was lost. Saturated: the polarity is wrong (ink must be bright on "
        "black) or the background was kept. Mend them in the source, or take them out. A few "
        "(validate.few_rows, few_share) are a warning.",
    ),
    "ink_agrees": Wording(
        "Packed ink agrees with its row",
        "Run ingest again: ink and row were not written together.",
    ),
    "strokes": Wording(
        "Stroke counts are within bounds",
        "Look whether these are single expressions; leave them out or raise validate.max_strokes.",
    ),
    "symbol_size": Wording(
        "Letters and digits are about one symbol unit high",
        "The scale was misjudged, by a long stroke or by stray ink: look at the pictures.",
    ),
    "boxes_inside": Wording(
        "Symbol boxes lie in the picture",
        "Run ingest again: boxes and picture were not made together.",
    ),
    "writer_leak": Wording(
        "No writer is on both sides of a split",
        "Move all rows of these writers to one side, in the source; ingest cuts val by writer.",
    ),
    "writer_known": Wording(
        "Writers are known",
        "Where the writer is unknown, leakage by writer cannot be seen. Name the writers if "
        "you can.",
    ),
    "image_leak": Wording(
        "No picture of val or test is in an earlier split",
        "Remove these rows from the later split (the earlier row is named).",
    ),
    "near_leak": Wording(
        "No picture of val or test nearly equals one of an earlier split with its label",
        "Look at the pairs: a re-scanned or re-scaled copy must go from one side.",
    ),
    "repeats": Wording(
        "Pictures are not repeated within a split",
        "Remove the copies (the first is named), or raise validate.max_repeat_share.",
    ),
    "contradicts": Wording(
        "Equal pictures have equal labels",
        "One of each pair is mislabelled: correct it in the source.",
    ),
}
