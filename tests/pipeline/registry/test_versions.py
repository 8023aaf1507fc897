"""Registered models: the gate against a real registry, and loading with pickle forbidden."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hmer.errors import HmerError
from hmer.evaluation.prediction import read_trials
from pipeline.dvcfile import Declaration
from pipeline.imports import reach
from pipeline.registry.decision import RegisterConfig
from pipeline.registry.packaging import SERVED, copied, requirements
from pipeline.registry.register import (
    Candidate,
    Registration,
    Rescore,
    candidate,
    deciding_split,
    make_champion,
    register,
)
from pipeline.registry.versions import (
    DECISION,
    FOLDER,
    ORIGIN,
    Act,
    Event,
    champion_history,
    export,
    fetch,
    find_version,
    on_record,
    taken_down,
    trail,
    version_of,
    versions,
)
from pipeline.stage import Stage
from pipeline.tracking.runs import stage_run
from pipeline.tracking.store import connect
from tests.pipeline.conftest import tiny_model

pytestmark = pytest.mark.medium


ROOT = Path(__file__).parents[3]

LOAD = """
import base64, json, sys
import pandas as pd
import mlflow
assert "hmer" not in sys.modules
model = mlflow.pyfunc.load_model("models:/toy@champion")
texts = json.load(sys.stdin)
inner = model.unwrap_python_model()
assert (inner.decoding.beam, inner.decoding.max_length) == (3, 40), "it searches as it was judged"
images = [*map(base64.b64decode, texts), texts[0].encode()]
answers = model.predict(pd.DataFrame({"image": images}))
import hmer
print(json.dumps({"answers": answers.to_dict("records"), "code": hmer.__file__}))
"""


def png(seed: int) -> bytes:
    import io

    from PIL import Image, ImageDraw

    picture = Image.new("L", (90, 60), 255)
    ImageDraw.Draw(picture).line((10, 10 + seed, 60, 50, 80, 12), fill=0, width=3)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def project(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with three models, two test sets, and a registry of its own."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    root = tmp_path_factory.mktemp("project")
    shutil.copyfile(empty_store, root / "mlflow.db")
    for seed in (1, 2, 3):
        tiny_model(root / f"model-{seed}", seed)
    for name in ("test-a", "test-b"):
        (root / name).mkdir()
        table = pa.table({"image": [png(1), png(2)], "latex": [name, "x"]})
        pq.write_table(table, root / name / "test.parquet")
    (root / "params.yaml").write_text("register: {name: toy}")
    (root / "dvc.yaml").write_text("stages: {}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root / 'mlflow.db'}")
        patch.delenv("HMER_PARENT_RUN", raising=False)
        yield root


def report(folder: Path, right: int, occluded: float = 50.0, level: float = 0.3) -> Path:
    """An evaluation of 200 expressions, the first `right` of which are read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    ids = [f"e{number:03}" for number in range(200)]
    readings = [["x"] if number < right else [] for number in range(200)]
    table = pa.table({"id": ids, "truth": [["x"]] * 200, "prediction": readings})
    pq.write_table(table, folder / "predictions.parquet")
    readings = [["x"] if number < 2 * occluded else [] for number in range(200)]
    table = table.set_column(2, "prediction", [readings])
    for name, value in (("series", "occlusion"), ("level", level), ("share", level)):
        table = table.append_column(name, [[value] * 200])
    pq.write_table(table, folder / "trials.parquet")
    return folder


def asks(
    project: Path, seed: int, right: int, data: str = "test-a", occluded: float = 50.0
) -> Candidate:
    out = project / f"evaluation-{seed}-{right}"
    report(out / "test", right, occluded)
    rate = right / 2
    score = {"exprate": rate, "exprate_low": rate - 6.5, "exprate_high": rate + 6.5, "n": 200}
    scores = {"test": score, "val": {"exprate": 1.0}}
    (out / "metrics.json").write_text(json.dumps(scores))
    searched = {"beam": 3, "max_length": 40}
    return candidate(project / f"model-{seed}", project / data, out, "test", searched)


def registered(
    project: Path, found: Candidate, rescore: Rescore | None = None, **settings: object
) -> Registration:
    config = RegisterConfig.model_validate({"name": "toy", **settings})
    stage = Stage("register", project, Declaration("register", (), (), ()))
    with stage_run(stage, {}) as tracker:
        done = register(config, found, tracker, ROOT, rescore)
        aliases = {
            alias: None if version is None else int(version.version)
            for alias in ("champion", "challenger")
            for version in [version_of(tracker.client, config.name, alias)]
        }
    if done["decision"] == "refused":
        assert done["version"] not in aliases.values()
    else:
        assert aliases[done["decision"]] == done["version"]
    return done


def test_a_history_of_registrations(project: Path) -> None:
    """One story, because each step needs the registry that the one before has left."""
    first = registered(project, asks(project, 1, 80))
    assert (first["version"], first["decision"]) == (1, "champion")
    assert first["champion_before"] is None

    # Again: nothing happens, and the report is the same to the byte.
    again = registered(project, asks(project, 1, 80))
    assert again == first

    worse = registered(project, asks(project, 2, 79))
    assert (worse["version"], worse["decision"]) == (2, "challenger")
    assert worse["champion_before"]["exprate"] == 40.0
    assert worse["comparison"]["gain"] == -0.5
    assert worse["comparison"]["only_champion"] == 1

    much_worse = registered(project, asks(project, 2, 60))
    assert (much_worse["version"], much_worse["decision"]) == (3, "refused")

    # Other test data: the champion has no score there, and gets one, or is not compared with.
    elsewhere = asks(project, 2, 120, "test-b")
    assert registered(project, elsewhere, rescore=None)["decision"] == "challenger"
    asked: list[Path] = []

    def rescore(model: Path, found: Candidate, work: Path) -> Path:
        asked.append(model)
        assert (model / "model.safetensors").read_bytes() == (
            project / "model-1/model.safetensors"
        ).read_bytes()
        return report(work / "out", 119)

    close = registered(project, elsewhere, rescore)
    assert (close["version"], close["decision"]) == (4, "challenger")
    assert close["champion_before"]["rescored"] and len(asked) == 1

    frail = registered(project, asks(project, 3, 100, occluded=44.0))
    assert frail["decision"] == "refused" and "hidden" in frail["reason"]

    better = registered(project, asks(project, 3, 101))
    assert better["decision"] == "champion"
    export(project / "model-3", project)
    assert registered(project, asks(project, 3, 101)) == better

    # By hand: what was refused, and back again.
    client, _ = connect(project)
    make_champion(client, "toy", 3, "promote", "a person", "we need it")
    assert champion_history(trail(client, "toy")) == [1, better["version"], 3]
    with pytest.raises(HmerError, match="is champion already"):
        make_champion(client, "toy", 3, "promote", "a person", "once more")
    with pytest.raises(HmerError, match="no version 99; there are: 1, 2, 3"):
        make_champion(client, "toy", 99, "promote", "a person", "what?")
    make_champion(client, "toy", better["version"], "rollback", "a person", "it was a mistake")
    events = trail(client, "toy")
    assert champion_history(events) == [1, better["version"]]
    assert [(e.who, e.what) for e in events[-2:]] == [
        ("a person", "promote"),
        ("a person", "rollback"),
    ]

    # What a reviewer finds with the version.
    version = find_version(client, "toy", "champion")
    assert version.tags == {
        "decision": "champion", "exprate": "50.5", "split": "test",
        "weights": better["weights"], "evaluation_data": better["evaluation_data"],
    }  # fmt: skip
    made = on_record(client, version, ORIGIN)
    assert made["sha256"] == asks(project, 3, 101).sha256
    assert "git.commit" in made and made["run.register"] == version.run_id
    assert on_record(client, version, DECISION) == better
    assert f"python -m pipeline reproduce {version.version}" in str(version.description)
    assert str(version.description).startswith(
        f"champion, ExpRate 50.5 % (44.0 to 57.0): toy version {version.version} on `test`."
    )
    refused = str(client.get_model_version("toy", "3").description)
    assert refused.startswith("refused, ExpRate 30.0 %")
    audit = str(client.get_registered_model("toy").description).splitlines()
    assert len(audit) == 4 + len(events) and "| rollback | 6 | 3 -> 6 | a person |" in audit[2]
    (tag,) = client.get_registered_model("toy").tags.items()
    assert tag[0] == "audit" and tag[1] in audit[-1]
    table = pd.read_csv(client.download_artifacts(tag[1], "audit.csv"))
    assert table["why"].tolist() == [event.why for event in events]
    models = client.search_logged_models([connect(project)[1]])
    (logged,) = [model for model in models if model.source_run_id == version.run_id]
    assert logged.params["decoding.beam"] == "3"
    assert {m.key: m.value for m in logged.metrics or ()}["val.exprate"] == 1.0
    info = client.get_model_version(version.name, str(version.version))
    assert client.get_run(str(info.run_id)).info.status == "FINISHED"


def test_it_serves_without_pickle_and_where_it_was_moved_to(project: Path, tmp_path: Path) -> None:
    """No pickle, code and weights from the registry alone, the project at another place."""
    moved = project.rename(tmp_path / "moved")
    try:
        uri = f"sqlite:///{moved / 'mlflow.db'}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_TRACKING_URI", uri)
            before = (moved / FOLDER / "model.safetensors").read_bytes()
            (moved / FOLDER / "model.safetensors").unlink()
            assert fetch(connect(moved)[0], "toy", moved) == moved / FOLDER
            assert (moved / FOLDER / "model.safetensors").read_bytes() == before
            good, bad, written, code = served(moved)
        assert str(moved / "mlruns") in code
        assert good["error"] == "" and 0 <= good["confidence"] <= 1
        assert bad["latex"] == "" and bad["error"]
        assert written["error"] == ""

        from hmer.recognizer import Recognizer

        here = Recognizer.load(moved / FOLDER).recognize(png(1))
        assert good["latex"] == here.latex
        assert np.isclose(good["confidence"], here.confidence)
    finally:
        moved.rename(project)


def served(root: Path) -> tuple[Any, Any, Any, str]:
    """Answers of the champion in a process of its own, and where its code lies."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    ink = b'<ink xmlns="http://www.w3.org/2003/InkML"><trace id="0">0 0, 9 9, 20 3</trace></ink>'
    images = [png(1), b"nonsense", ink]
    done = subprocess.run(
        [sys.executable, "-c", LOAD],
        cwd=root,
        env=environment,
        input=json.dumps([base64.b64encode(image).decode() for image in images]),
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    good, bad, written, encoded = told["answers"]
    assert encoded == good
    return good, bad, written, str(told["code"])


PAIR = """
import json, sys, tests
from pathlib import Path
tests.__path__.append(sys.argv[1])  # a dependency installs a package of that name, too
from tests.pipeline.registry.test_versions import asks, registered
root, seed = Path(sys.argv[2]), int(sys.argv[3])
done = registered(root, asks(root, seed, 80 + seed), name="pair")
print(json.dumps(done))
"""


@pytest.mark.slow
def test_two_at_once_meet_each_other(project: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    connect(project)
    both = [
        subprocess.Popen(
            [sys.executable, "-c", PAIR, str(ROOT / "tests"), str(project), str(seed)],
            env={**environment, "MLFLOW_EXPERIMENT_NAME": f"pair-{seed}"},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in (1, 2)
    ]
    told = [json.loads(child.communicate(timeout=600)[0].splitlines()[-1]) for child in both]
    champions = [one for one in told if one["decision"] == "champion"]
    (other,) = [one for one in told if one["decision"] != "champion"]
    assert len(champions) == 1
    # The second saw the first as its rival: neither was decided as if alone.
    assert other["champion_before"]["version"] == champions[0]["version"]
    client, _ = connect(project)
    found = version_of(client, "pair", "champion")
    assert found is not None and int(found.version) == champions[0]["version"]
    assert champion_history(trail(client, "pair")) == [champions[0]["version"]]


def test_no_pickle_in_the_registry(project: Path) -> None:
    kept = [path for path in (project / "mlruns").rglob("*") if path.is_file()]
    assert any(path.name == "model.safetensors" for path in kept)
    assert not [path for path in kept if path.suffix in {".pkl", ".pickle", ".pt", ".ckpt"}]


def test_no_champion_yet(project: Path, tmp_path: Path) -> None:
    with pytest.raises(HmerError, match="the registry has no champion of nobody"):
        fetch(connect(tmp_path)[0], "nobody", tmp_path)


def test_requirements_are_what_serving_imports() -> None:
    found = {line.partition("==")[0] for line in requirements(ROOT)}
    assert {"torch", "numpy", "pillow", "safetensors", "pydantic", "mlflow", "pandas"} <= {
        name.lower() for name in found
    }
    assert not found & {"dvc", "prefect", "great_expectations", "lightning"}


def test_served_code_is_enough_and_no_more(tmp_path: Path) -> None:
    with copied(ROOT, reach(SERVED, ROOT).files) as folder:
        code = folder / "hmer"
        assert (code / "recognizer.py").is_file()
        assert not (code / "synthesis").exists()
        done = subprocess.run(
            [sys.executable, "-c", "import hmer.recognizer as r; print(r.__file__)"],
            cwd=code.parent,
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout.strip() == str(code / "recognizer.py")


@pytest.mark.parametrize(
    ("split", "tests", "wanted"),
    [
        ("auto", ("test-2014", "test-2016"), "several: test-2014, test-2016; name one of them"),
        ("auto", ("dev-a", "dev-b", "val"), "several: dev-a, dev-b; name one of them"),
        ("test-2019", ("test-2014",), "'test-2019': no such split; there are: test-2014"),
        ("auto", (), "finds no split to compare on"),
        ("auto", ("test-x",), "metrics.json has no ExpRate of test-x"),
    ],
)
def test_which_split_cannot_decide(
    project: Path, tmp_path: Path, split: str, tests: tuple[str, ...], wanted: str
) -> None:
    for name in tests:
        (tmp_path / f"{name}.parquet").write_bytes(b"")
    (tmp_path / "metrics.json").write_text("{}")
    with pytest.raises(HmerError) as caught:
        candidate(project / "model-1", tmp_path, tmp_path, split)
    assert wanted in str(caught.value)


@pytest.mark.parametrize(
    ("wanted", "splits", "decides", "because"),
    [
        ("auto", ("val", "dev-2013", "test-2014", "test-2016"), "dev-2013", "development set"),
        ("auto", ("train", "val", "test-2014"), "val", "no development set"),
        ("auto", ("train", "test-2014"), "test-2014", "selected on"),
        ("test-2014", ("val", "dev", "test-2014"), "test-2014", "names it"),
    ],
)
def test_a_test_year_does_not_decide_unless_it_is_told_to(
    tmp_path: Path, wanted: str, splits: tuple[str, ...], decides: str, because: str
) -> None:
    for name in splits:
        (tmp_path / f"{name}.parquet").write_bytes(b"")
    split, reason = deciding_split(tmp_path, wanted)
    assert split == decides and because in reason


def test_what_a_person_took_down_stays_down(project: Path) -> None:
    """The same weights, by their version, another score, or other test data."""
    first, better = asks(project, 1, 80), asks(project, 2, 110)
    assert registered(project, first, name="down")["decision"] == "champion"
    assert registered(project, better, name="down")["version"] == 2
    client, _ = connect(project)
    make_champion(client, "down", 1, "rollback", "a person", "it breaks in production")

    for again in (better, asks(project, 2, 112)):
        done = registered(project, again, name="down")
        assert done["decision"] == "challenger"
        assert "taken down by a person" in done["reason"]
        assert "it breaks in production" in done["reason"]
        champion = version_of(client, "down", "champion")
        assert champion is not None and int(champion.version) == 1
    # Other weights are not meant.
    assert registered(project, asks(project, 3, 130), name="down")["decision"] == "champion"
    # Who took it down may bring it back; then the gate is free again.
    make_champion(client, "down", 2, "promote", "a person", "mended in front of it")
    make_champion(client, "down", 1, "promote", "a person", "no")
    down = taken_down(trail(client, "down"), {1: "one", 2: "two", 3: "three", 4: "x"})
    assert set(down) == {"two", "x"}


def test_a_champion_that_cannot_be_scored_leaves_no_version_undecided(project: Path) -> None:
    registered(project, asks(project, 1, 80), name="whole")

    def broken(model: Path, found: Candidate, work: Path) -> Path:
        raise RuntimeError("a bug of ours")

    with pytest.raises(RuntimeError, match="a bug of ours"):
        registered(project, asks(project, 2, 120, "test-b"), broken, name="whole")
    client, _ = connect(project)
    assert [str(v.version) for v in versions(client, "whole")] == ["1"]


def test_a_champion_that_was_read_with_other_ink_hidden_is_scored_anew(project: Path) -> None:
    registered(project, asks(project, 1, 80), name="hidden")
    found = asks(project, 2, 120)
    report(found.report, 120, level=0.5)
    found = replace(found, evidence=read_trials(found.report))
    told = registered(project, found, name="hidden")
    assert told["decision"] == "challenger" and "other ink hidden" in told["reason"]

    def anew(model: Path, found: Candidate, work: Path) -> Path:
        return report(work / "out", 80, level=0.5)

    told = registered(project, found, anew, name="hidden")
    assert told["decision"] == "champion" and told["champion_before"]["rescored"]


def test_a_candidate_is_known_by_its_bytes(project: Path) -> None:
    one, two = asks(project, 1, 2), asks(project, 2, 2)
    assert one.weights != two.weights
    assert (one.exprate, one.data) == (two.exprate, two.data) == (1.0, one.data)
    assert replace(one, model=two.model).weights == one.weights
    assert one.data != asks(project, 1, 2, "test-b").data


def done(what: Act, version: int, before: int | None, champion: int | None) -> Event:
    return Event(what, version, before, champion, "someone", "because")


def test_who_could_come_back() -> None:
    story = [
        done("promote", 1, None, 1),
        done("register", 2, 1, 1),
        done("promote", 3, 1, 3),
        done("refuse", 4, 3, 3),
        done("promote", 5, 3, 5),
    ]
    assert champion_history(story) == [1, 3, 5]
    story.append(done("rollback", 3, 5, 3))
    assert champion_history(story) == [1, 3]
    story.append(done("rollback", 1, 3, 1))
    assert champion_history(story) == [1]
    story.append(done("promote", 5, 1, 5))
    assert champion_history(story) == [1, 5]
    assert champion_history([]) == []


def test_a_line_for_a_person() -> None:
    line = done("promote", 3, None, 3).line()
    assert "promote" in line and "none -> 3" in line and line.endswith("someone: because")
