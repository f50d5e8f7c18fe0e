"""What a spec leaves open is filled in from training rows."""

import pytest

from model import frame, resolving, spec
from utils.errors import TableError

TEXT = """
name: t
task: {task}
target: {{name: y{classes}}}
data: {{train: t.csv}}
features:
  amount: {{type: number, min: 0}}
  rooms: {{type: integer}}
  is_new: {{type: boolean}}
  day: {{type: date}}
  kind: {{type: category}}
"""


def rows(labels):
    return [
        {
            "amount": i + 0.5,
            "rooms": i,
            "is_new": i > 2,
            "day": f"2020-01-0{i + 1}",
            "kind": "ab"[i % 2],
            "y": label,
        }
        for i, label in enumerate(labels)
    ]


def resolved(labels, task="classification", classes=", classes: [0, 1]"):
    given = spec.loads(TEXT.format(task=task, classes=classes if task == "classification" else ""))
    given = resolving.with_classes(given, frame.as_table(rows(labels)))
    return resolving.resolve(given, frame.labelled_rows(given, rows(labels)))


def test_ranges_categories_and_examples_are_those_of_the_rows():
    features = resolved([0, 1, 0, 1, 1]).features

    assert (features["amount"].min, features["amount"].max) == (0, 4.5)  # the spec said min
    assert features["kind"].categories == ("a", "b")
    assert [feature.example for feature in features.values()] == [2.5, 2, False, "2020-01-03", "a"]


def test_a_resolved_spec_survives_being_written_and_read():
    ours = resolved([0, 1, 0, 1, 1])

    assert spec.loads(spec.dumps(ours)) == ours


def test_a_column_of_names_has_no_categories():
    given = spec.loads(
        "name: t\ntask: regression\ntarget: {name: y}\ndata: {train: t}\nfeatures: {who: {type: category}}"
    )
    table = [{"who": f"person {i}", "y": i} for i in range(100)]

    assert resolving.resolve(given, frame.labelled_rows(given, table)).features["who"].categories is None


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["1", "0", "0", "1"], (0, 1)),
        (["2.0", "1.0", "10", "1"], (1, 2, 10)),
        (["no", "yes", "no", "yes"], ("no", "yes")),
        (["True", "False", "True", "False"], (False, True)),
        ([1.5, 2.5, 1.5, 2.5], (1.5, 2.5)),
    ],
)
def test_classes_are_the_sorted_labels_of_the_rows(labels, classes):
    ours = resolved(labels, classes="")

    assert ours.labels == classes
    assert [type(label) for label in ours.labels] == [type(label) for label in classes]


def test_one_class_alone_is_refused():
    with pytest.raises(TableError, match="'y' has 1 distinct values"):
        resolved(["a", "a", "a"], classes="")


def test_numbers_without_end_are_no_classes():
    table = frame.as_table([{"y": i / 7} for i in range(200)])
    given = spec.loads(TEXT.format(task="classification", classes=""))

    with pytest.raises(TableError, match="task: regression"):
        resolving.with_classes(given, table)


def test_a_regression_learns_its_range_and_measures_logarithms_where_it_can():
    ours, with_zero = resolved([1, 2, 3, 4, 10], "regression"), resolved([0, 2, 3, 4, 10], "regression")

    assert (ours.target.min, ours.target.max) == (1, 10)
    assert "r2_log" in ours.metrics
    assert "r2_log" not in with_zero.metrics
