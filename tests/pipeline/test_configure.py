"""The parameter files that come with the project are valid, and complete."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hmer.errors import HmerError
from pipeline.configure import (
    FOLDER,
    Params,
    check_params,
    configure,
    load_params,
    merge,
    prepare,
)
from pipeline.dvcfile import declarations
from pipeline.params import named_files, read_yaml

ROOT = Path(__file__).parents[2]


def test_the_committed_parameters_are_the_default() -> None:
    assert (ROOT / "params.yaml").read_bytes() == (ROOT / "configs/default.yaml").read_bytes(), (
        "params.yaml is not the default: run `python -m pipeline configure default`, or change "
        "configs/default.yaml too"
    )


def test_every_stage_has_its_section() -> None:
    fields = {field.alias or name: field for name, field in Params.model_fields.items()}
    stages = {name for name, stage in declarations(ROOT).items() if name in stage.params}
    assert fields.keys() == {"raw", "base", "model", "flow", "monitor", *stages}
    required = {name for name, field in fields.items() if field.is_required()}
    assert required <= set(read_yaml(ROOT / "params.yaml")) <= fields.keys()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    shutil.copyfile(ROOT / "configs/default.yaml", tmp_path / "params.yaml")
    return tmp_path


@pytest.mark.parametrize("name", named_files(ROOT / FOLDER))
def test_every_named_configuration_is_valid(project: Path, name: str) -> None:
    configure(project, name)
    load_params(project / "params.yaml")


def test_default_undoes_another_to_the_byte(project: Path) -> None:
    before = (project / "params.yaml").read_text()
    configure(project, "crohme-smoke")
    assert load_params(project / "params.yaml").ingest.source == "crohme"
    assert "# how ink is drawn" in (project / "params.yaml").read_text()
    configure(project, "default")
    assert (project / "params.yaml").read_text() == before


def test_settings_go_on_top(project: Path) -> None:
    configure(project, "crohme-smoke", ["base.seed=5", "ingest.crohme.tests.2014=/a b/d.zip"])
    found = load_params(project / "params.yaml")
    assert found.base.seed == found.ingest.seed == found.evaluate.seed == 5
    assert found.ingest.crohme.tests == {"2014": "/a b/d.zip"}


@pytest.mark.parametrize(
    ("name", "settings", "wanted"),
    [
        ("crohme-smok", [], "did you mean crohme-smoke?"),
        (None, ["finetune.optimisation.step=3"], "finetune.optimisation.steps?"),
        (None, ["finetun.init=scratch"], "did you mean finetune?"),
        (None, ["base.seed=-1"], "base.seed = -1: input should be greater than or equal to 0"),
        (None, ["base.seed"], "expected dotted.key=value"),
        (None, ["base.seed=[1"], "the value is not valid YAML"),
        (None, ["base..seed=1"], "expected dotted.key=value"),
        (None, ["finetune.init=sometimes"], "finetune.init = 'sometimes'"),
        (None, ["finetune.start=data/models/champion"], "copy it to a folder of your own"),
        (None, ["finetune.start=a", "finetune.init=scratch"], "leave init at auto"),
        (None, ["finetune.start=~/model"], "~/model begins with ~, which DVC does not know"),
        (None, ["raw=~/data"], "raw = '~/data': ~/data begins with ~"),
        (None, ["flow.limits={finetun: 5}"], "no stage 'finetun'; did you mean finetune?"),
        (None, ["flow.limits={finetune: -5}"], "flow.limits.finetune = -5"),
        (None, ["flow.limits={finetune: 0}"], "flow.limits.finetune = 0"),
        (None, ["flow.delays=[-1]"], "flow.delays.0 = -1"),
        (None, ["finetune.labels=0.5", "finetune.synthesis.mixing.share=0.5"], "or labels to 1"),
        (
            None,
            ["finetune.synthesis={decompose: 0, compose: 1, mixing: {share: 1, shortest: 1}}"],
            "allows 1 tokens, but compose alone writes 2 and more",
        ),
        (None, ["finetune.synthesis={decompose: 0, mixing: {share: 1}}"], "are all 0"),
        (None, ["base.seed=2020-13-45"], "the value is not valid YAML: month must be"),
        (None, ["base.seed=" + "1" * 5000], "the value is not valid YAML"),
        (None, ["base.seed=" + "[" * 1000], "the value is not valid YAML"),
    ],
)
def test_nothing_is_written_unless_all_is_valid(
    project: Path, name: str | None, settings: list[str], wanted: str
) -> None:
    before = (project / "params.yaml").read_bytes()
    with pytest.raises(HmerError) as caught:
        configure(project, name, settings)
    assert wanted in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
    assert (project / "params.yaml").read_bytes() == before
    assert not list(project.glob(".*partial"))


def test_settings_on_an_empty_file(project: Path) -> None:
    (project / "params.yaml").write_text("")
    with pytest.raises(HmerError, match=r"params\.yaml: ingest is missing"):
        configure(project, None, ["base.seed=5"])


@pytest.mark.parametrize("key", ["1: 2", "null: 1", "2020-01-01: 1", "[1]: 2", "{a: 1}: 2"])
def test_keys_that_are_no_names(project: Path, key: str) -> None:
    text = (project / "params.yaml").read_text()
    for changed in (f"{text}{key}\n", text.replace("flow:", f"flow:\n  {key}")):
        (project / "params.yaml").write_text(changed)
        with pytest.raises(HmerError, match=r"params\.yaml"):
            load_params(project / "params.yaml")


def test_what_is_shared_is_given_once() -> None:
    values = read_yaml(ROOT / "params.yaml")
    values["base"]["render"]["unit"] = 24.0
    assert check_params(values, "params.yaml").ingest.render.unit == 24.0


def test_parameters_are_checked_before_a_run(project: Path) -> None:
    prepare(project, None, ())
    prepare(project, None, ("base.seed=7",))
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("seed: 7", "sede: 7"))
    with pytest.raises(HmerError, match=r"did you mean base\.seed"):
        prepare(project, None, ())


def test_a_merge_patch() -> None:
    # The examples of RFC 7396, appendix A, as far as they are about mappings.
    for before, patch, after in (
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ):
        assert merge(before, patch, null_removes=True) == after
