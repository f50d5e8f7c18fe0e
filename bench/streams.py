"""Public streams judged by the default policy and by the rule p < 0.045 of each feature, window by window.

    python -m bench.streams          # about two minutes

Prints, for each stream, the windows with an alarm before and after the change that people know of. Needs the
public tables (VIGIA_PUBLIC_DATA, or shared/data beside the checkout).
"""

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from mlops.backtesting import Normal, counted, judged
from mlops.drift_policy import policy_of
from mlops.histories import Question, Table, fitted, instants, window_of
from model.spec import Data, Feature, Spec, Target

PUBLIC = Path(os.environ.get("VIGIA_PUBLIC_DATA", Path(__file__).parents[2] / "shared" / "data"))
P_VALUE = 0.045
AT = Question("at")


@dataclass(frozen=True)
class Stream:
    """A stream cut into training and history; ``change`` is when the world is known to have changed."""

    name: str
    training: pd.DataFrame
    history: pd.DataFrame
    features: list[str]
    window: str
    change: datetime | None


def main() -> None:
    """Print one line a stream."""
    print(f"Windows with an alarm before and after the change: the default policy, and p < {P_VALUE}")
    for stream in streams():
        windows, first, ours = ours_of(stream)
        theirs = theirs_of(stream)
        place = 0 if stream.change is None else int((stream.change - first) // window_of(stream.window))
        place = windows if stream.change is None else place
        told = [f"{sum(a[:place])}/{place}, {sum(a[place:])}/{windows - place}" for a in (ours, theirs)]
        print(f"{stream.name:<42} {stream.window:<6} {windows:>7}  {told[0]:<22} {told[1]}")


def streams() -> list[Stream]:
    """Read the public tables."""
    return [*adult(), elec2(), bikes(), california()]


def adult() -> list[Stream]:
    table = pd.read_csv(PUBLIC / "control_adult" / "adult.csv.gz").sample(frac=1, random_state=0)
    features, half = [name for name in table if name != "label"], len(table) // 2
    is_young, is_low = table["age"] < 40, table["education-num"] <= 9
    start = datetime(2024, 1, 1, tzinfo=UTC)
    return [
        Stream("adult, a shuffled half", table[:half], timed(table[half:]), features, "1d", None),
        Stream("adult, by age", table[is_young], timed(table[~is_young]), features, "1d", start),
        Stream("adult, by education", table[is_low], timed(table[~is_low]), features, "1d", start),
    ]


def elec2() -> Stream:
    table = pd.read_csv(PUBLIC / "drift_elec2" / "elec2.csv.gz").sort_values("row")
    table["at"] = pd.Timestamp("1996-05-07") + pd.to_timedelta(table["row"] * 30, unit="min")
    features = ["vicprice", "vicdemand", "transfer"]
    change = datetime(1997, 5, 1, tzinfo=UTC)
    return Stream("electricity, Victoria joins", table[:3_000], table[3_000:], features, "7d", change)


def bikes() -> Stream:
    table = pd.read_csv(PUBLIC / "drift_bikes" / "hour.csv").sort_values("instant")
    day = pd.to_datetime(table["dteday"], format="%m/%d/%y")
    table["at"] = day + pd.to_timedelta(table["hr"], unit="h")
    n = len(table) // 4
    features, change = ["temp", "hum", "windspeed"], datetime(2011, 7, 7, tzinfo=UTC)
    return Stream("bikes, after a spring of training", table[:n], table[n:], features, "7d", change)


def california() -> Stream:
    table = pd.read_csv(PUBLIC / "drift_california" / "california_housing.csv.gz")
    table = table.rename(columns={"timestamp": "at"})
    is_reference = table["partition"] == "reference"
    features = ["MedInc", "HouseAge", "AveRooms", "AveOccup", "Latitude", "Longitude"]
    change = datetime(2021, 6, 2, tzinfo=UTC)
    return Stream(
        "California, the districts move on", table[is_reference], table[~is_reference], features, "1d", change
    )


def timed(table: pd.DataFrame) -> pd.DataFrame:
    """Give 25 rows to each hour."""
    return table.assign(
        at=pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(len(table)) // 25, unit="h")
    )


def ours_of(stream: Stream) -> tuple[int, datetime, list[bool]]:
    """Return the windows, the first one's start, and which have an alarm of the default policy."""
    kinds = {n: "number" if stream.training[n].dtype.kind in "iuf" else "category" for n in stream.features}
    features = {name: Feature(kind, missing=True) for name, kind in kinds.items()}
    spec = Spec(name="s", task="regression", target=Target("y"), data=Data("t.csv"), features=features)
    training, history = table_of(stream.training, stream), table_of(stream.history, stream)
    base = fitted(spec, training, history, window_of(stream.window))
    periods = counted(base.reference, history.columns, history.at_ms, window_of(stream.window))
    policy = replace(policy_of(spec, "scheduled"), design_effects=base.effects)
    found = judged(Normal(base.reference, periods, spec.drift), policy, lambda done, n: None)
    return len(found), found[0].start, [window.result.is_drift for window in found]


def table_of(table: pd.DataFrame, stream: Stream) -> Table:
    """Return a table as a backtest reads it."""
    raw = table[stream.features].reset_index(drop=True)
    columns = {n: [None if pd.isna(v) else v for v in raw[n].tolist()] for n in stream.features}
    at_ms = instants(table["at"].astype(str).reset_index(drop=True), "at") if "at" in table else None
    return Table(raw, columns, at_ms)


def theirs_of(stream: Stream) -> list[bool]:
    """Return which windows have a feature with p below the limit, by scipy."""
    at_ms = table_of(stream.history, stream).at_ms
    assert at_ms is not None
    numbers = at_ms // (window_of(stream.window) // timedelta(milliseconds=1))
    found = []
    for number in range(int(numbers.min()), int(numbers.max()) + 1):
        rows = stream.history[numbers == number]
        found.append(
            len(rows) > 1 and any(p_value(stream.training[n], rows[n]) < P_VALUE for n in stream.features)
        )
    return found


def p_value(before: "pd.Series", now: "pd.Series") -> float:
    """Return scipy's p-value, 1 where there is nothing to compare."""
    if before.dtype.kind in "iuf":
        return float(stats.ks_2samp(before.dropna(), now.dropna(), method="asymp").pvalue)
    table = pd.crosstab(
        pd.concat([before, now], ignore_index=True), np.repeat([0, 1], [len(before), len(now)])
    )
    return 1.0 if len(table) < 2 else float(stats.chi2_contingency(table).pvalue)


if __name__ == "__main__":
    main()
