"""Intervals and sets hold the truth of held-out public rows as often as they say."""

import os
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from data import public, tables
from model import conformal, spec, training
from model.answer import Judge
from model.conformal import Scored

PUBLIC = Path(os.environ.get("VIGIA_PUBLIC_DATA", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = [
    pytest.mark.public_data,
    pytest.mark.skipif(
        not PUBLIC.is_dir(), reason=f"no public tables (looked in {PUBLIC}; set VIGIA_PUBLIC_DATA)"
    ),
]
FOLDERS = {"movies": "movies_vega", "cars": "cars", "titanic": "titanic", "trees": "trees"}
LEVEL = 0.9
# What chance may take away: the rows that decide, and those that are counted, are some hundreds.
SLACK = 0.045


@pytest.fixture(scope="module", params=sorted(FOLDERS))
def sides(request):
    """Scores of rows that decide and of rows that are counted, by a pipeline fitted on neither."""
    name = request.param
    ours = spec.load(spec.BUNDLED / f"{name}.yaml")
    rows, _ = training.usable_rows(ours, public.read(tables.TABLES[name], PUBLIC / FOLDERS[name]))
    ours = training.resolving.resolve(ours, rows)
    fold = np.random.default_rng(4).permutation(len(rows)) % 4
    with threadpool_limits(limits=1):
        first = _scored(ours, rows, fold == 0, [fold == 1])
        others = _scored(ours, rows, (fold == 0) | (fold == 1), [fold == 2, fold == 3])
    return name, ours, [*first, *others]


def _scored(ours, rows, is_fitted_on, others):
    some = rows.take(is_fitted_on)
    pipeline = training.fitted(training.make_pipeline(ours, len(some)), some)
    parts = [rows.take(other) for other in others]
    return [Scored(part.y, training.scored(pipeline, ours, part.features)) for part in parts]


def test_the_truth_of_public_rows_is_inside_as_often_as_stated(sides):
    _, ours, (usual, decides, counted) = sides
    learnt = conformal.learn(LEVEL, decides, usual)

    is_inside = _inside(ours, learnt, counted)

    assert LEVEL - SLACK <= is_inside.mean() <= 1.0
    for label in range(len(ours.labels)):
        assert is_inside[counted.y == label].mean() >= LEVEL - 2 * SLACK, label


def _inside(ours, learnt, rows):
    if learnt.kind == "interval":
        low, high = learnt.intervals(rows.scores)
        return (low <= rows.y) & (rows.y <= high)
    members = learnt.members(rows.scores, Judge(ours).chosen(rows.scores))
    return members[np.arange(len(rows.y)), rows.y]
