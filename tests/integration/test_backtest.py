"""``python -m mlops backtest`` on histories whose truth is known, without a service or MongoDB."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.running import run

N_DAY = 400
SPEC = """
name: shop
task: classification
target: {name: bought}
data: {train: train.csv}
features:
  amount: {type: number, missing: true, unit: EUR}
  channel: {type: category}
  n_items: {type: integer}
"""


def rows(n, seed, shift=0.0, channel=(0.6, 0.3, 0.1)):
    rng = np.random.default_rng(seed)
    amount = rng.normal(50 + 10 * shift, 10, n).round(2)
    return pd.DataFrame(
        {
            "amount": amount,
            "channel": rng.choice(["web", "app", "phone"], n, p=channel),
            "n_items": rng.integers(1, 9, n),
            "bought": (amount + rng.normal(0, 10, n) > 50).astype(int),
        }
    )


def history(n_days=14, seed=1, from_day=99, **change):
    """A history of ``n_days``; from one day on it is another."""
    days = [rows(N_DAY, seed + day, **(change if day >= from_day else {})) for day in range(n_days)]
    table = pd.concat(days, ignore_index=True)
    return table.assign(at=pd.Timestamp("2026-01-01") + pd.to_timedelta(table.index * 216, unit="s"))


@pytest.fixture
def backtest(tmp_path):
    (tmp_path / "shop.yaml").write_text(SPEC)
    rows(6_000, 0).to_csv(tmp_path / "train.csv", index=False)

    def go(table, *more, text=False, drift=""):
        (tmp_path / "shop.yaml").write_text(SPEC + f"drift: {{{drift}}}\n")
        table.to_csv(tmp_path / "history.csv", index=False)
        arguments = ["--model", "shop", "--data", str(tmp_path / "history.csv"), "--at", "at", *more]
        shown = [] if text else ["--json"]
        done = run("mlops", "backtest", *arguments, *shown, MODELS_DIR=tmp_path, STATE_DIR=tmp_path / "s")
        return done.returncode, done.stdout if text or done.returncode == 1 else json.loads(done.stdout), done

    return go


def alarmed(found):
    return [window["start"][:10] for window in found["windows"] if window["alarm"]]


def test_a_history_like_training_raises_no_alarm(backtest):
    code, found, _ = backtest(history())

    assert code == 0
    assert [window["rows"] for window in found["windows"]] == [N_DAY] * 14
    assert alarmed(found) == []
    assert set(found["windows"][0]["features"][0]) >= {
        "feature", "statistic", "threshold", "p_value", "n", "drift",
    }  # fmt: skip


def test_days_before_months_are_read_as_such(backtest):
    table = history(n_days=20)
    code, found, _ = backtest(table.assign(at=pd.to_datetime(table["at"]).dt.strftime("%d/%m/%Y %H:%M")))

    assert code == 0
    assert [window["rows"] for window in found["windows"]] == [N_DAY] * 20


def test_a_rolling_reference_takes_a_shift_for_normal_after_its_time(backtest):
    shifted = history(n_days=24, from_day=3, shift=1.0)

    code, found, _ = backtest(shifted, drift="reference: rolling, reference_days: 2")

    days = alarmed(found)
    assert code == 2
    assert "2026-01-05" in days
    assert "2026-01-24" not in days
    assert any("rolling" in note for note in found["notes"])


def test_the_first_days_of_a_history_can_be_the_reference(backtest):
    code, found, _ = backtest(
        history(n_days=12, from_day=0, shift=1.0), drift="reference: first_weeks, reference_days: 4"
    )

    assert code == 2
    assert max(alarmed(found)) < "2026-01-05"


def test_a_day_cycle_is_no_alarm_with_a_season_and_a_shift_is(backtest):
    def cyclic(n_days, shift_from):
        table = history(n_days=n_days)
        hour = pd.to_datetime(table["at"]).dt.hour
        day = (pd.to_datetime(table["at"]) - pd.Timestamp("2026-01-01")).dt.days
        return table.assign(
            amount=table["amount"] + 12 * np.sin(hour / 24 * 2 * np.pi) + 12 * (day >= shift_from)
        )

    quiet = backtest(cyclic(16, 99), "--window", "1h", "--reference-rows", "4000", drift="season: day")
    moved = backtest(cyclic(16, 14), "--window", "1h", "--reference-rows", "4000", drift="season: day")

    assert alarmed(quiet[1]) == []
    assert min(alarmed(moved[1])) in ("2026-01-15", "2026-01-16")


def test_a_shift_is_found_on_its_first_day_and_named(backtest):
    code, found, _ = backtest(history(from_day=8, shift=1.0))

    assert code == 2
    assert alarmed(found)[0] == "2026-01-09"
    first = next(window for window in found["windows"] if window["alarm"])
    assert [one["feature"] for one in first["features"] if one["drift"]] == ["amount"]
    assert "higher" in first["features"][0]["sentence"]


def test_the_table_for_people_says_the_same(backtest):
    code, printed, _ = backtest(history(from_day=8, shift=1.0), text=True)

    assert code == 2
    assert "6 of 14 windows with an alarm." in printed
    assert "EUR higher at the median" in printed


def test_odd_cells_and_gaps_are_judged_as_data_quality(backtest):
    table = history().astype({"n_items": object})
    is_late = table["at"] >= "2026-01-10"
    table.loc[is_late, "n_items"] = "many"
    table.loc[is_late, "channel"] = None
    table = table[(table["at"] < "2026-01-04") | (table["at"] >= "2026-01-06")]
    code, found, _ = backtest(table)

    checks = {one["feature"]: one["check"] for one in found["windows"][-1]["features"] if one["drift"]}
    assert code == 2
    assert checks == {"channel": "missing", "n_items": "type_fault"}
    assert [window["rows"] for window in found["windows"]][3:5] == [0, 0]
    assert alarmed(found)[0] == "2026-01-10"


def test_predictions_and_labels_are_watched_too(backtest):
    table = history()
    table["guess"] = table["bought"].where(table["at"] < "2026-01-10", 1 - table["bought"])
    _, found, _ = backtest(table, "--predictions", "guess", "--labels", "bought")

    drifted = {one["feature"] for one in found["windows"][-1]["features"] if one["drift"]}
    assert drifted == {"error"}
    assert any("first quarter" in note for note in found["notes"])


def test_the_first_rows_of_the_history_can_be_the_reference(backtest):
    table = history(from_day=8, channel=(0.1, 0.3, 0.6)).drop(columns="bought")
    _, found, _ = backtest(table, "--reference-rows", str(4 * N_DAY))

    assert found["windows"][0]["start"] == "2026-01-05T00:00:00Z"
    assert alarmed(found)[0] == "2026-01-09"


def test_rows_that_come_in_batches_raise_no_alarm_where_training_has_their_times(backtest, tmp_path):
    def batches(n_days, seed):
        rng = np.random.default_rng(seed)
        table = history(n_days, seed)
        days = (table.index // N_DAY).to_numpy()
        return table.assign(amount=table["amount"] + rng.normal(0, 4, n_days)[days])

    batches(40, 100).to_csv(tmp_path / "train.csv", index=False)
    code, found, _ = backtest(batches(30, 500))

    assert code == 0, alarmed(found)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--window", "soon"], "'soon' is no length of time"),
        (["--labels", "nope"], "has no column 'nope'"),
        (["--at", "channel"], "is no time"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(backtest, arguments, said):
    code, _, done = backtest(history(2), *arguments)

    assert code == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
