"""The streams of ``bench.streams`` judged by Evidently and NannyML at their defaults, beside scipy and ours.

    pip install -r requirements/production.in evidently nannyml "pandas<3"   # in an environment of its own
    python -m bench.streams_field

The project's environment cannot hold Evidently, which needs an older pandas. Same reference, windows and
features for all. Evidently's verdict is that half of the columns drifted; that any did stands beside it.
NannyML learns its thresholds from the reference in periods as long as the windows. Each runs in a process of
its own; its peak memory holds the imports and the tables, its CPU seconds only the judging.
"""

import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from importlib.util import find_spec

import pandas as pd

from bench.streams import Stream, ours_of, streams, table_of, theirs_of, timed
from mlops.histories import window_of

PERIODS = {"1d": "D", "7d": "W-WED"}  # both begin where our windows do


@dataclass(frozen=True)
class Found:
    """Windows with an alarm, CPU seconds and peak memory in MB."""

    alarms: list[bool]
    seconds: float
    memory: float


def main() -> None:
    """Print one line for each stream and judge."""
    missing = [name for name in ("evidently", "nannyml") if find_spec(name) is None]
    if missing:
        print(f"Not installed here: {', '.join(missing)}; the head of bench/streams_field.py says how.")
        return
    for number, stream in enumerate(streams()):
        for judge in JUDGES:
            print(line(stream, judge, alone(number, judge)), flush=True)


def line(stream: Stream, judge: str, found: Found) -> str:
    """Return the windows with an alarm, before and from the change on, and the first of the latter."""
    numbers = numbers_of(stream)
    width, n = window_of(stream.window), len(found.alarms)
    place = n
    if stream.change is not None:
        place = int((pd.Timestamp(stream.change) - pd.Timestamp(0, tz="UTC")) // width) - int(numbers.min())
    late = [i for i in range(place, n) if found.alarms[i]]
    first = "none" if not late else f"{(int(numbers.min()) + late[0]) * width + pd.Timestamp(0):%Y-%m-%d}"
    told = f"{sum(found.alarms[:place])}/{place}, {len(late)}/{n - place}"
    return (
        f"{stream.name:<36} {judge:<20} {told:<18} {first:<11} {found.seconds:7.1f} s {found.memory:5.0f} MB"
    )


def alone(number: int, judge: str) -> Found:
    """Judge a stream in a new process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measured, number, judge).result()


def measured(number: int, judge: str) -> Found:
    """Judge a stream in this process and say what it cost, imports not counted in the time."""
    os.environ |= {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}
    for name in {"NannyML": ["nannyml"]}.get(judge, ["evidently.presets"] if "Evidently" in judge else []):
        import_module(name)
    stream = streams()[number]
    start = time.process_time()
    alarms = JUDGES[judge](stream)
    used = time.process_time() - start
    return Found(alarms, used, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def numbers_of(stream: Stream) -> "pd.Series":
    """Return each row's window, counted from 1970."""
    at_ms = table_of(stream.history, stream).at_ms
    assert at_ms is not None
    return pd.Series(at_ms // (window_of(stream.window) // timedelta(milliseconds=1)))


def evidently_of(stream: Stream, share: float) -> list[bool]:
    """Return in which windows at least this share of the columns, and one, drifted by the default preset."""
    report = import_module("evidently").Report([import_module("evidently.presets").DataDriftPreset()])
    numbers, found = numbers_of(stream).to_numpy(), []
    for number in range(int(numbers.min()), int(numbers.max()) + 1):
        rows = stream.history.loc[numbers == number, stream.features]
        if len(rows) < 2:
            found.append(False)
            continue
        count = report.run(rows, stream.training[stream.features]).dict()["metrics"][0]["value"]
        found.append(count["count"] >= 1 and count["share"] >= share)
    return found


def nannyml_of(stream: Stream) -> list[bool]:
    """Return in which windows any column is beyond NannyML's threshold."""
    training = stream.training if "at" in stream.training else timed(stream.training)
    calculator = (
        import_module("nannyml")
        .UnivariateDriftCalculator(
            stream.features, timestamp_column_name="at", chunk_period=PERIODS[stream.window]
        )
        .fit(training)
    )
    table = calculator.calculate(stream.history).filter(period="analysis").to_df()
    starts = pd.to_datetime(table[("chunk", "chunk", "start_date")])
    width, numbers = window_of(stream.window), numbers_of(stream)
    alarmed = set(((starts - pd.Timestamp(0)) // width)[table.xs("alert", axis=1, level=2).any(axis=1)])
    return [number in alarmed for number in range(int(numbers.min()), int(numbers.max()) + 1)]


JUDGES: dict[str, Callable[[Stream], list[bool]]] = {
    "ours": lambda stream: ours_of(stream)[2],
    "scipy, p < 0.045": theirs_of,
    "NannyML": nannyml_of,
    "Evidently": lambda stream: evidently_of(stream, 0.5),
    "Evidently, any column": lambda stream: evidently_of(stream, 0.0),
}

if __name__ == "__main__":
    main()
