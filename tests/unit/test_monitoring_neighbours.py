"""Dependence told from neighbouring windows: batches count, a slow season does not."""

import numpy as np
import pytest

from model.monitoring import ModelReference
from model.monitoring.dependence import design_effects, neighbour_effects


def windows(levels, rng, n=200):
    rows = [rng.normal(level, 10, n) for level in levels]
    reference = ModelReference.fit({"x": np.concatenate(rows)}, {"x": "number"})
    return reference, [reference.count({"x": one}) for one in rows]


def test_independent_rows_have_an_effect_of_one():
    found = [
        neighbour_effects(*windows(np.zeros(40), np.random.default_rng(seed)))["x"] for seed in range(40)
    ]

    assert np.mean(np.array(found) == 1) > 0.85


def test_batches_have_about_the_effect_that_all_windows_show():
    rng = np.random.default_rng(1)
    reference, counted = windows(rng.normal(0, 4, 300), rng)

    of_all, of_neighbours = (
        effect(reference, counted)["x"] for effect in (design_effects, neighbour_effects)
    )

    assert of_all > 10
    assert of_neighbours == pytest.approx(of_all, rel=0.25)


def test_a_slow_season_is_not_taken_for_dependence():
    rng = np.random.default_rng(2)
    reference, counted = windows(20 * np.sin(np.arange(120) / 120 * np.pi), rng)

    assert design_effects(reference, counted)["x"] > 30
    assert neighbour_effects(reference, counted)["x"] < 1.5
