"""Segments: counted apart, judged within the same budget, and named by an alarm."""

import numpy as np
import pytest

from model.monitoring import ModelReference, Policy, Timeline, decide
from model.monitoring.segments import MAX_VALUES, OTHER, SEGMENTS

KINDS = {"tempo": "number", "energy": "number", "genre": "category", "mood": "category"}
GENRES = ["pop", "rock", "folk", "jazz"]


def rows(n, seed, shift=None):
    rng = np.random.default_rng(seed)
    genre = rng.choice(GENRES, n, p=[0.5, 0.25, 0.2, 0.05])
    tempo = rng.normal(120, 20, n) + np.where(genre == (shift or ""), 25.0, 0.0)
    mood = rng.choice(["calm", "wild"], n).tolist()
    return {"tempo": tempo, "energy": rng.random(n), "genre": genre.tolist(), "mood": mood}


@pytest.fixture(scope="module")
def reference():
    return ModelReference.fit(rows(20_000, 0), KINDS, segments=["genre"])


@pytest.mark.parametrize("policy", [Policy(), Policy(name="holm")])
def test_a_change_in_one_small_segment_is_found_and_named(reference, policy):
    result = decide(reference, Timeline.of(reference.count(rows(8_000, 1, shift="jazz"))), policy)

    assert [one.feature for one in result.drifted] == ["tempo where genre is jazz"]
    assert "higher at the median" in result.drifted[0].sentence


def test_the_segments_most_touched_by_a_change_of_all_rows_are_named(reference):
    result = decide(reference, Timeline.of(reference.count(rows(8_000, 1, shift="pop"))))

    assert [one.feature for one in result.drifted] == ["tempo"]
    assert result.touched["tempo"][0].segment == "genre pop"
    assert result.touched["tempo"][0].effect > 0.4 > result.touched["tempo"][1].effect


def test_without_a_change_no_segment_is_an_alarm(reference):
    for seed in range(1, 6):
        result = decide(reference, Timeline.of(reference.count(rows(8_000, seed))))
        assert result.verdict == "ok"
        assert result.segments


def test_segments_add_up_and_come_back_from_bytes(reference):
    found = rows(3_000, 2)
    again = ModelReference.from_bytes(reference.to_bytes())
    halves = [{n: column[place::2] for n, column in found.items()} for place in (0, 1)]

    assert again.count(found) == reference.count(found) == reference.total(map(reference.count, halves))
    assert again.counts == reference.counts
    assert (SEGMENTS + "genre") in again.counts.parts


def test_values_beyond_the_most_frequent_and_missing_ones_are_counted_together():
    genre = [f"g{i % 40}" for i in range(8_000)]
    learnt = ModelReference.fit(
        {"x": np.arange(8_000.0), "genre": genre}, {"x": "number", "genre": "category"}, segments=["genre"]
    )
    cells = learnt.segments["genre"].cells

    counts = cells.shaped(
        learnt.count({"x": [1.0] * 3, "genre": ["g0", None, "new"]}).parts[SEGMENTS + "genre"].values[None]
    )

    assert len(cells.values) == MAX_VALUES and cells.labels[-1] == OTHER
    assert counts.sum() == 3
    assert counts[0, -1].sum() == 2


def test_a_segment_with_few_rows_says_so_and_is_no_alarm(reference):
    found = rows(300, 3, shift="jazz")

    result = decide(reference, Timeline.of(reference.count(found)))

    assert not [one for one in result.segments if one.is_drift]
