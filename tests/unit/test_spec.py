"""A spec file is checked when it is read, and a fault names file, line and place."""

from pathlib import Path

import pytest

from model import spec as specs
from model.spec import BUNDLED, dumps, find, load, load_all, loads
from utils.errors import NotFoundError, SpecError

SMALL = """\
name: small
task: classification
target: {name: y, classes: {0: no_way, 1: sure}, positive: 1}
data: {train: small.csv}
features:
  a.b: {type: number, min: 0, max: 9}
  colour: {type: category, categories: [red, blue], missing: true}
"""


def test_a_spec_is_read_as_it_is_written():
    spec = loads(SMALL)

    assert (spec.numbers, spec.texts) == (("a.b",), ("colour",))
    assert (spec.labels, spec.class_names, spec.positive_index) == ((0, 1), ("no_way", "sure"), 1)


@pytest.mark.parametrize("path", sorted(BUNDLED.glob("*.yaml")), ids=lambda path: path.stem)
def test_bundled_specs_survive_a_round_trip(path):
    spec = load(path)

    assert loads(dumps(spec)) == spec


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("task: classification", "task: guessing"), 2, "guessing"),
        (("type: number", "type: numbr"), 6, "numbr"),
        (("max: 9", "max: -1"), 6, "min 0 above max -1"),
        (("missing: true", "mising: true"), 7, "mising"),
        (("positive: 1", "positive: 2"), 3, "not one of the classes"),
        (("name: small", "nam: small"), 1, "nam"),
        (("name: small", "name: ../etc"), 1, "name"),
        (("name: y", "name: colour"), 5, "target"),
        (("[red, blue]", "[red, no]"), 7, "str"),
        (("type: number, min", "type: category, min"), 6, "no range"),
    ],
)
def test_a_fault_names_its_line(change, line, words):
    with pytest.raises(SpecError) as caught:
        loads(SMALL.replace(*change), "small.yaml")

    assert f"small.yaml, line {line}" in caught.value.detail
    assert words in caught.value.detail


@pytest.mark.parametrize("text", ["", "[]", "3", "a: [", "a: &x [1]\nb: *x", "\0"])
def test_what_is_no_spec_is_refused(text):
    with pytest.raises(SpecError, match=r"^odd\.yaml"):
        loads(text, "odd.yaml")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(SpecError, match="gone"):
        load(tmp_path / "gone.yaml")


def test_a_later_folder_wins(tmp_path):
    (tmp_path / "mine.yaml").write_text(SMALL.replace("name: small", "name: songs"))

    assert load_all([BUNDLED, tmp_path])["songs"][1] == tmp_path / "mine.yaml"


def test_two_files_of_one_folder_cannot_name_the_same_model(tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(SMALL)

    with pytest.raises(SpecError, match=r"one\.yaml already names"):
        load_all([tmp_path])


def test_an_unknown_model_is_told_which_there_are():
    with pytest.raises(NotFoundError, match="songs"):
        find("sogns", [BUNDLED])


def test_a_missing_folder_is_named():
    with pytest.raises(SpecError, match="nowhere"):
        specs.load_all([Path("nowhere")])


def test_two_models_cannot_have_the_same_alias(tmp_path):
    for name in ("one", "two"):
        text = SMALL.replace("name: small", f"name: {name}") + "retrain_aliases: [/retrain]\n"
        (tmp_path / f"{name}.yaml").write_text(text)

    with pytest.raises(SpecError, match=r"'/retrain' is already that of the model 'one'"):
        load_all([tmp_path])
