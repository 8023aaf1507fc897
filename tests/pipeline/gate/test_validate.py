"""The validate stage on small datasets: its files, its exit codes, its page."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from hmer.data.schema import Quarantined, Sample
from hmer.errors import HmerError
from hmer.ingest import row_checks
from hmer.ink.codec import pack
from hmer.ink.images import encode_png
from hmer.ink.strokes import Ink
from hmer.latex.vocabulary import vocabulary
from pipeline.dvcfile import Declaration
from pipeline.gate import report as validation_report
from pipeline.gate.expectations import ValidateConfig
from pipeline.gate.judge import gather, judge
from pipeline.gate.report import read_rows, write_report
from pipeline.gate.verdict import CHECK_BROKEN, DATA_REFUSED, GateClosed, Verdict, require_passed
from pipeline.stage import Stage
from pipeline.stages.validate import main
from tests.samples import write_quarantine, write_samples

pytestmark = pytest.mark.medium


LABELS = ("x ^ { 2 }", "\\frac { 1 } { y }", "x + 1", "\\sqrt { x }")
SPLITS = {"train": (40, "anna"), "val": (12, "bert"), "test-a": (12, "carl")}
Change = Callable[[dict[str, list[Sample]]], None]


def sample(split: str, number: int, writer: str) -> Sample:
    """A picture like no other: blobs drawn from the name."""
    seed = int(hashlib.sha256(f"{split}{number}".encode()).hexdigest()[:8], 16)
    image = np.zeros((40, 60), np.uint8)
    for top, left in np.random.default_rng(seed).integers(0, (34, 54), (8, 2)):
        image[top : top + 6, left : left + 6] = 255
    tokens = tuple(LABELS[number % len(LABELS)].split())
    ink = pack(Ink((np.array([[0, 0], [1, 1]], np.float32),)))
    return Sample(
        f"{split}-{number}",
        "made",
        split,
        writer,
        " ".join(tokens),
        tokens,
        encode_png(image),
        40,
        60,
        1,
        ink,
    )


@pytest.fixture(autouse=True)
def untracked(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are about the gate, and need no tracking server."""

    @contextmanager
    def tracked(stage: Stage, config: object) -> Iterator[Mock]:
        yield Mock(spec=("outputs", "tags", "metrics"))

    monkeypatch.setattr(Stage, "tracked", tracked)


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots take most of the time of a small run, and most tests are not about them."""
    monkeypatch.setattr(validation_report, "plots", lambda profile: {})


def write_dataset(folder: Path, change: Change | None = None) -> Path:
    folder.mkdir(parents=True)
    splits = {
        split: [sample(split, number, f"{writer}{number % 4}") for number in range(rows)]
        for split, (rows, writer) in SPLITS.items()
    }
    if change is not None:
        change(splits)
    for split, samples in splits.items():
        write_samples(folder / f"{split}.parquet", samples)
    write_quarantine(folder / "quarantine.parquet", [Quarantined("q1", "q1.inkml", "no <strokes>")])
    (folder / "vocabulary.json").write_text(vocabulary("wap").to_json())
    return folder


def replaced(split: str, index: int, **fields: object) -> Change:
    def change(splits: dict[str, list[Sample]]) -> None:
        splits[split][index] = dataclasses.replace(splits[split][index], **fields)  # type: ignore[arg-type]

    return change


@pytest.fixture(scope="module", autouse=True)
def _tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    store = tmp_path_factory.mktemp("store") / "mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
        patch.delenv("HMER_PARENT_RUN", raising=False)
        yield


def run(root: Path, change: Change | None = None) -> tuple[Path, Verdict, int]:
    """Run the stage in `root`; its report, verdict and exit code."""
    write_dataset(root / "data" / "dataset", change)
    (root / "params.yaml").write_text("validate: {min_train_rows: 10, workers: 1}\n")
    declared = Declaration("validate", ("data/dataset",), ("reports/validation",), ("validate",))
    code = 0
    try:
        main(Stage("validate", root, declared))
    except GateClosed as closed:
        code = closed.exit_code
    report = root / "reports" / "validation"
    verdict = Verdict.model_validate_json((report / "verdict.json").read_bytes())
    return report, verdict, code


def without_test(splits: dict[str, list[Sample]]) -> None:
    del splits["test-a"]


def without_rows(splits: dict[str, list[Sample]]) -> None:
    for samples in splits.values():
        samples.clear()


class Links(HTMLParser):
    """Everything that a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]


def check_page(report: Path) -> str:
    """The page is whole by itself: no script, no address, every file beside it."""
    page = (report / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"https?:|//|<script|@import|url\(", page)
    links = Links()
    links.feed(page)
    for link in links.found:
        if link.startswith("#"):
            assert f'id="{link[1:]}"' in page
        else:
            with Image.open(report / link) as picture:
                picture.verify()
    return page


def test_sound_data_passes_and_its_page_opens_offline(tmp_path: Path) -> None:
    report, verdict, code = run(tmp_path)
    assert (code, verdict.passed) == (0, True)
    assert verdict.rows == {split: rows for split, (rows, _) in SPLITS.items()}
    assert verdict.quarantined == 1
    for name in ("verdict.json", "gate.json"):
        require_passed(report / name)
    page = check_page(report)
    assert "The dataset passed" in page
    assert "no &lt;strokes&gt;" in page  # what files say is text, never markup
    assert len(list((report / "plots").iterdir())) == 8
    assert "<figure>" in page and 'class="sample' not in page


@pytest.mark.usefixtures("no_plots")
@pytest.mark.parametrize(
    ("change", "name", "row"),
    [
        (replaced("test-a", 3, writer="anna1"), "writer_leak", "test-a-3"),
        (replaced("train", 7, tokens=("x", "\\foo")), "vocabulary", "train-7"),
        (replaced("train", 7, tokens=("x", "^", "{")), "label_parses", "train-7"),
        (replaced("val", 2, image=b"broken"), "image_decodes", "val-2"),
        (replaced("train", 9, id="train-1"), "unique_id", "train-1"),
        (replaced("test-a", 0, image=sample("train", 5, "w").image), "image_leak", "test-a-0"),
        (replaced("train", 4, ink=b"broken"), "ink_agrees", "train-4"),
    ],
)
def test_bad_data_is_refused_with_its_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Change, name: str, row: str
) -> None:
    report, verdict, code = run(tmp_path, change)
    assert (code, verdict.passed) == (DATA_REFUSED, False)
    assert [finding.name for finding in verdict.refusing] == [name]
    assert [failure.id for failure in verdict.refusing[0].failures] == [row]
    told = capsys.readouterr().err
    assert f"REFUSED {name}: 1 of 64: {row}" in told
    assert verdict.refusing[0].remedy in told
    page = check_page(report)
    assert "The dataset is refused" in page
    assert f"<b>{row}</b>" in page
    assert json.loads((report / "gate.json").read_text()) == {"passed": False}
    with pytest.raises(HmerError, match="refused"):
        require_passed(report / "gate.json")


@pytest.mark.usefixtures("no_plots")
@pytest.mark.parametrize("grey", [0, 255])
def test_blank_and_saturated_pictures_refuse_if_they_are_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], grey: int
) -> None:
    def spoil(count: int) -> Change:
        def change(splits: dict[str, list[Sample]]) -> None:
            for number in range(count):
                image = np.full((40, 60), grey, np.uint8)
                image[0, number] = 128  # no two alike
                splits["val"][number] = dataclasses.replace(
                    splits["val"][number], image=encode_png(image)
                )

        return change

    _, verdict, code = run(tmp_path / "one", spoil(1))
    assert (code, verdict.passed) == (0, True)
    assert "warning ink_share: 1 of 64: val-0" in capsys.readouterr().err
    _, verdict, code = run(tmp_path / "five", spoil(5))
    assert code == DATA_REFUSED
    assert [finding.name for finding in verdict.refusing] == ["ink_share"]


@pytest.mark.usefixtures("no_plots")
def test_failing_rows_have_their_picture_as_ink_on_paper(tmp_path: Path) -> None:
    report, _, _ = run(tmp_path, replaced("train", 7, tokens=("x", "\\foo")))
    with Image.open(report / "pictures" / "train-7.png") as picture:
        shown = np.asarray(picture)
    with Image.open(io.BytesIO(sample("train", 7, "w").image)) as stored:
        np.testing.assert_array_equal(shown, 255 - np.asarray(stored))


@pytest.mark.usefixtures("no_plots")
def test_a_leaked_picture_is_shown_beside_its_original(tmp_path: Path) -> None:
    report, verdict, _ = run(tmp_path, replaced("test-a", 0, image=sample("train", 5, "w").image))
    assert verdict.refusing[0].failures[0].value == "train/train-5"
    pair = check_page(report).split('class="sample sides"')[1]
    shown = re.findall(r'<img src="pictures/(.*?)"', pair.partition("</section>")[0])
    assert shown == ["test-a-0.png", "train-5.png"]


@pytest.mark.usefixtures("no_plots")
def test_a_shrunken_copy_is_a_warning(tmp_path: Path) -> None:
    original = sample("train", 5, "w")
    small = Image.open(io.BytesIO(original.image)).resize((48, 32))
    image = encode_png(np.asarray(small))
    change = replaced("val", 1, image=image, height=32, width=48)  # label 1 as that of row 5
    _, verdict, code = run(tmp_path, change)
    assert code == 0
    found = {finding.name: finding.failures for finding in verdict.warnings}
    assert [(failure.id, failure.value) for failure in found["near_leak"]] == [
        ("val-1", "train/train-5")
    ]


@pytest.mark.usefixtures("no_plots")
def test_a_broken_check_has_its_own_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(tokens: list[str]) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr(row_checks, "parse", explode)
    report, verdict, code = run(tmp_path)
    assert (code, verdict.passed) == (CHECK_BROKEN, False)
    assert [finding.name for finding in verdict.broken] == ["checks_ran"]
    assert "label: RecursionError: too deep" in verdict.broken[0].error
    assert verdict.refusing == []
    assert "A check is broken" in check_page(report)


def test_equal_data_gives_equal_bytes(tmp_path: Path) -> None:
    change = replaced("val", 2, image=sample("train", 5, "w").image)
    contents = []
    for place in ("a", "elsewhere"):
        report, _, _ = run(tmp_path / place, change)
        files = sorted(path for path in report.rglob("*") if path.is_file())
        contents.append({str(path.relative_to(report)): path.read_bytes() for path in files})
    assert contents[0] == contents[1]
    assert len(contents[0]) > 10


@pytest.mark.usefixtures("no_plots")
def test_a_missing_split_is_refused(tmp_path: Path) -> None:
    _, verdict, code = run(tmp_path, without_test)
    assert code == DATA_REFUSED
    assert [finding.name for finding in verdict.refusing] == ["enough_rows"]
    assert verdict.refusing[0].failures[0].id == "test"


def test_a_damaged_file_is_refused_and_not_a_crash(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "dataset")
    (dataset / "val.parquet").write_bytes(b"PAR1 and no more")
    config = ValidateConfig(workers=1, min_train_rows=10)
    verdict = judge(gather(dataset, config), config)
    assert [finding.name for finding in verdict.refusing] == ["schema", "enough_rows"]
    assert "cannot be read" in verdict.refusing[0].failures[0].value


def test_a_dataset_without_any_rows_is_refused_with_a_page(tmp_path: Path) -> None:
    report, verdict, code = run(tmp_path, without_rows)
    assert code == DATA_REFUSED
    assert verdict.broken == []
    assert [finding.name for finding in verdict.refusing] == ["enough_rows"]
    check_page(report)


@pytest.mark.parametrize("name", ["vocabulary.json", "quarantine.parquet"])
@pytest.mark.parametrize("content", [None, b"", b"rubbish"])
def test_missing_or_damaged_side_files_are_one_clear_error(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    dataset = write_dataset(tmp_path / "dataset")
    (dataset / name).unlink()
    if content is not None:
        (dataset / name).write_bytes(content)
    with pytest.raises(HmerError, match=rf"{name}: .*ingest"):
        gather(dataset, ValidateConfig(workers=1))


def test_rows_are_read_by_position(tmp_path: Path) -> None:
    write_samples(tmp_path / "train.parquet", (sample("train", n, "w") for n in range(1100)))
    places = {("train", 0), ("train", 511), ("train", 512), ("train", 1099)}
    found = read_rows(tmp_path, places)
    assert {place: row["id"] for place, row in found.items()} == {
        place: f"train-{place[1]}" for place in places
    }


@pytest.mark.usefixtures("no_plots")
def test_collections_differences_and_label_noise_are_shown(tmp_path: Path) -> None:
    def change(splits: dict[str, list[Sample]]) -> None:
        for number, one in enumerate(splits["train"]):
            splits["train"][number] = dataclasses.replace(
                one,
                source="a <b>" if number % 2 else "c",
                latex="x+\\ldots" if not number else one.latex,
            )
        splits["train"][0] = dataclasses.replace(splits["train"][0], tokens=("x",))

    write_quarantine(
        tmp_path / "label_noise.parquet",
        [Quarantined("train-3", "f", "2 strokes belong to no symbol", "train")],
    )
    write_dataset(tmp_path / "data" / "dataset", change)
    (tmp_path / "label_noise.parquet").rename(tmp_path / "data/dataset/label_noise.parquet")
    evidence = gather(tmp_path / "data" / "dataset", ValidateConfig())
    samples = evidence.frames["samples"]
    assert samples.loc[samples["noise"] != "", "id"].tolist() == ["train-3"]
    verdict = judge(evidence, ValidateConfig())
    report = tmp_path / "report"
    write_report(report, tmp_path / "data" / "dataset", evidence, verdict)
    page = check_page(report)
    assert "a &lt;b&gt;" in page and page.count("<figure>") > 20
    assert "caption leaves tokens out" in page and "x + \\ldots" in page
    assert "strokes belong to no symbol" in page
    assert not any("label_noise" in str(row) for row in evidence.profile.files["file"])
