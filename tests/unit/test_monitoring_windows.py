"""Tails in closed form beside SciPy's, and two windows side by side."""

import numpy as np
import pytest
from scipy import special

from model.monitoring import ModelReference, Policy
from model.monitoring.tails import chi_square_tail, kolmogorov_tail
from model.monitoring.windows import compare_windows, cumulated

POLICY = Policy(name="holm", alpha=0.01)


@pytest.mark.parametrize("x", [0.05, 0.3, 0.81, 0.83, 1.36, 3.0, 7.0])
def test_the_tail_of_kolmogorov_is_that_of_scipy(x):
    assert kolmogorov_tail(x) == pytest.approx(special.kolmogorov(x), rel=1e-12)


@pytest.mark.parametrize("freedom", [1, 2, 3, 10, 101, 1_000])
@pytest.mark.parametrize("x", [0.0, 0.01, 3.8, 90.0, 900.0])
def test_the_tail_of_chi_square_is_that_of_scipy(freedom, x):
    assert chi_square_tail(freedom, x) == pytest.approx(special.chdtrc(freedom, x), rel=1e-10)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(5)
    return {"a": rng.normal(size=4_000), "b": rng.choice(["x", "y"], 4_000).tolist()}


@pytest.fixture(scope="module")
def reference(rows):
    return ModelReference.fit(rows, {"a": "number", "b": "category"})


def test_what_moved_comes_first_and_what_did_not_is_well(reference, rows):
    window = reference.count({"a": rows["a"][:900] + 0.5, "b": rows["b"][:900]})

    found = compare_windows(reference, window, POLICY)

    assert [(one.feature, one.verdict) for one in found.features] == [("a", "drift"), ("b", "ok")]
    assert (found.n_rows, found.m_rows) == (900, 4_000)


def test_an_empty_window_is_no_drift(reference):
    found = compare_windows(reference, reference.total([]), POLICY)

    assert {one.verdict for one in found.features} == {"insufficient_data"}


def test_a_curve_rises_from_none_to_all(reference, rows):
    feature = reference.features["a"]

    points = cumulated(feature, feature.values(reference.count(rows).parts["a"]))

    shares = [one["before"] for one in points]
    assert shares == sorted(shares)
    assert (shares[0] < 0.02, shares[-1] > 0.98, len(points) < 200) == (True, True, True)
