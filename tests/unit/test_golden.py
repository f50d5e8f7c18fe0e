"""Golden rows: kept as strict JSON, replayed with the differences named."""

import json

import numpy as np
import pytest

from model.golden import Golden, replay
from model.predictor import Floats, Texts
from utils.errors import IntegrityError


class Fixed:
    """A predictor that answers what it was given."""

    served_by = "sklearn"

    def __init__(self, scores: object) -> None:
        self._scores = np.asarray(scores, dtype=float)

    def scores(self, numbers: Floats, texts: Texts | None) -> Floats:
        return self._scores


def golden(expected: object, **options: float) -> Golden:
    scores = np.asarray(expected, dtype=float)
    return Golden(np.zeros((len(scores), 1)), None, scores, **options)  # type: ignore[arg-type]


def test_rows_survive_json_bit_by_bit() -> None:
    numbers = np.array([[0.1, np.nan], [np.nextafter(1.0, 2.0), -1e300]])
    texts = np.array([["ágil", ""], ["\"'", "\x00"]], dtype=object)
    kept = Golden(numbers, texts, np.array([[0.25, 0.75], [1 / 3, 2 / 3]]), threshold=0.4)

    read = Golden.from_bytes(kept.to_bytes())

    assert np.array_equal(read.numbers, numbers, equal_nan=True)
    assert np.array_equal(read.expected, kept.expected) and read.threshold == 0.4
    assert read.texts is not None and read.texts.tolist() == texts.tolist()


def test_missing_numbers_are_null_in_strict_json() -> None:
    data = Golden(np.array([[np.nan]]), None, np.array([1.0])).to_bytes()

    assert json.loads(data, parse_constant=pytest.fail)["numbers"] == [[None]]


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"numbers": [[1]], "n_numbers": 3}'])
def test_bytes_that_are_no_golden_rows_are_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        Golden.from_bytes(data)


def test_a_replay_names_the_row_that_differs_most() -> None:
    expected = [[0.5, 0.5], [0.1, 0.9], [0.2, 0.8]]

    result = replay(Fixed([[0.5, 0.5], [0.1, 0.9 + 1e-5], [0.2, 0.8]]), golden(expected))

    assert not result.is_ok and result.row == 1
    assert result.largest_difference == pytest.approx(1e-5)


def test_another_class_fails_however_small_the_difference() -> None:
    result = replay(Fixed([[0.5 + 1e-12, 0.5 - 1e-12]]), golden([[0.5, 0.5]]))

    assert not result.is_ok and result.n_other_classes == 1


def test_the_class_follows_the_threshold_of_the_positive_class() -> None:
    scores = Fixed([[0.7 - 1e-9, 0.3 + 1e-9]])

    assert not replay(scores, golden([[0.7, 0.3]], positive=0, threshold=0.7)).is_ok
    assert replay(scores, golden([[0.7, 0.3]])).is_ok


def test_regression_is_compared_relative_to_its_values() -> None:
    large, small = golden([1e9, 5.0]), golden([1.0, 5e-3])

    assert replay(Fixed([1e9 + 100.0, 5.0]), large).is_ok
    assert not replay(Fixed([1.0, 5e-3 + 1e-6]), small).is_ok


def test_a_missing_answer_of_a_pipeline_is_a_difference() -> None:
    result = replay(Fixed([[0.5, np.nan]]), golden([[0.5, 0.5]]))

    assert not result.is_ok and result.largest_difference == np.inf


def test_scores_of_another_shape_fail() -> None:
    assert not replay(Fixed([1.0, 2.0]), golden([[0.5, 0.5]])).is_ok
