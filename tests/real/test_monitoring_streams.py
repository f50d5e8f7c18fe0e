"""Real tables: silent on halves of one table, loud where the world changed, and at the time when it did."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from model.monitoring import PROBABILITY, ModelCounts, ModelReference, Policy, Timeline, decide
from model.monitoring.dependence import design_effects

PUBLIC = Path(os.environ.get("VIGIA_PUBLIC_DATA", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = [
    pytest.mark.public_data,
    pytest.mark.skipif(
        not PUBLIC.is_dir(), reason=f"no public tables (looked in {PUBLIC}; set VIGIA_PUBLIC_DATA)"
    ),
]
DAILY = Policy(periods_per_month=30)


def learnt(table: pd.DataFrame) -> ModelReference:
    kinds = {name: "number" if table[name].dtype.kind in "if" else "category" for name in table}
    return ModelReference.fit({name: table[name].to_numpy() for name in table}, kinds)


def counted(reference: ModelReference, table: pd.DataFrame) -> ModelCounts:
    return reference.count({name: table[name].to_numpy() for name in table})


def first_alarms(
    reference: ModelReference, table: pd.DataFrame, days: pd.Series, policy: Policy
) -> dict[str, int]:
    """Check day after day and return the first position at which each feature drifted."""
    found: dict[str, int] = {}
    periods = [counted(reference, rows) for _, rows in table.groupby(days.to_numpy(), sort=False)]
    for last in range(len(periods)):
        result = decide(reference, Timeline(tuple(periods[max(0, last - 10) : last + 1]), last), policy)
        for check in result.drifted:
            found.setdefault(check.feature, last)
    return found


@pytest.fixture(scope="module")
def adult() -> pd.DataFrame:
    return pd.read_csv(PUBLIC / "control_adult" / "adult.csv.gz", na_values="?")


@pytest.mark.parametrize("policy", ["margin", "holm"])
def test_two_shuffled_halves_of_one_table_raise_no_alarm(adult, policy):
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(len(adult))
        reference = learnt(adult.iloc[order[: len(adult) // 2]])
        other = counted(reference, adult.iloc[order[len(adult) // 2 :]])

        assert not decide(reference, Timeline.of(other), Policy(name=policy)).is_drift


def test_a_table_split_by_age_drifts_in_age_and_what_goes_with_it(adult):
    reference = learnt(adult[adult["age"] < 40])
    result = decide(reference, Timeline.of(counted(reference, adult[adult["age"] >= 40])))

    assert result.features[0].feature == "age"
    assert {"marital-status", "relationship"} <= {check.feature for check in result.drifted}


def test_electricity_drifts_on_the_day_on_which_victoria_joins_the_market():
    table = pd.read_csv(PUBLIC / "drift_elec2" / "elec2.csv.gz").sort_values("row")
    days, columns = table["row"] // 48, ["vicprice", "vicdemand", "transfer"]
    reference = learnt(table.loc[days < 90, columns])
    is_later = days >= 90
    found = first_alarms(reference, table.loc[is_later, columns], days[is_later], DAILY)

    joined = days[is_later].drop_duplicates().tolist().index(363)
    assert {found[name] for name in columns} <= {joined, joined + 1}


def test_bikes_drift_with_the_season_and_less_often_once_dependence_is_learnt():
    table = pd.read_csv(PUBLIC / "drift_bikes" / "hour.csv").sort_values("instant")
    columns, n_reference = ["temp", "hum", "windspeed"], len(table) // 4
    reference = learnt(table[columns][:n_reference])
    days = [counted(reference, rows[columns]) for _, rows in table[:n_reference].groupby("dteday")]
    effects = design_effects(reference, days)
    rest = table[n_reference:]
    plain = first_alarms(reference, rest[columns], rest["dteday"], DAILY)
    careful = first_alarms(
        reference, rest[columns], rest["dteday"], Policy(periods_per_month=30, design_effects=effects)
    )

    assert effects["temp"] > 5
    assert "temp" in careful
    assert plain["temp"] <= careful["temp"]


def test_californian_predictions_drift_when_the_districts_move_north():
    table = pd.read_csv(PUBLIC / "drift_california" / "california_housing.csv.gz")
    table = table.rename(columns={"y_pred_proba": PROBABILITY})
    is_reference = table["partition"] == "reference"
    columns = ["MedInc", "Latitude", "Longitude", PROBABILITY]
    reference = learnt(table.loc[is_reference, columns])
    rest = table.loc[~is_reference, columns].reset_index(drop=True)
    found = first_alarms(reference, rest, pd.Series(rest.index // 200), DAILY)

    assert found["Latitude"] <= 1
    assert found["probability"] <= 1
