"""Labels as they are written, matched to those of the spec."""

import numpy as np
import pytest

from model import spec
from model.labels import LabelReader, UnknownLabelError


def reader(task="classification", classes="[0, 1]"):
    target = f"{{name: y, classes: {classes}}}" if task == "classification" else "{name: y}"
    head = f"name: t\ntask: {task}\ntarget: {target}\n"
    return LabelReader(spec.loads(head + "data: {train: t.csv}\nfeatures: {a: {type: number}}\n"))


@pytest.mark.parametrize("value", [1, 1.0, "1", "1.0", " 1 ", True, np.int64(1), np.float64(1), np.True_])
def test_one_is_one_however_it_is_written(value):
    assert reader().read(value) == 1


@pytest.mark.parametrize("value", ["yes", "Yes", True, 1, "true"])
def test_a_truth_value_may_be_a_word(value):
    assert reader(classes="[false, true]").label(value) is True


def test_an_exact_label_wins_over_one_by_meaning():
    assert reader(classes="[1, 'true']").read("true") == 1


def test_text_labels_are_themselves_only():
    ours = reader(classes="['<=50K', '>50K']")

    assert ours.read(">50K") == 1
    with pytest.raises(UnknownLabelError):
        ours.read(1)


def test_a_class_may_be_called_by_the_name_that_answers_give_it():
    ours = reader(classes="{0: low, 1: high, 2: '0', 3: 'yes'}")

    assert [ours.label(value) for value in ("low", "high", "0", "3")] == [0, 1, 0, 3]
    assert (ours.label("yes"), ours.label("true")) == (3, 1)


@pytest.mark.parametrize("value", [2, "reggaeton", None, [], float("nan"), {}])
def test_a_value_that_is_no_label_is_refused(value):
    with pytest.raises(UnknownLabelError, match="is none of the labels 0, 1"):
        reader().read(value)


def test_the_label_of_a_regression_is_a_finite_number():
    assert reader("regression").read("1.5e3") == 1500
    for value in ("inf", "many", None, "nan"):
        with pytest.raises(UnknownLabelError, match="not a finite number"):
            reader("regression").read(value)
