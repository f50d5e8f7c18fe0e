"""How many false alarms the default policy raises, and how soon it sees a change, by simulation.

``python -m bench.drift --months 200`` prints the tables of ``docs/drift.md``. Rows are independent draws; an
hour is one multinomial draw of its cells, so a simulated month costs a third of a second. The tests,
thresholds and windows are those that production uses.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from model.monitoring.budget import Budget, StreamKind, share_of
from model.monitoring.cells import NumberCells
from model.monitoring.evidence import Shape, Stream
from model.monitoring.feature import FeatureReference
from model.monitoring.ladder import Rung, ladder
from model.monitoring.margin import tests_of
from model.monitoring.policy import Policy
from model.monitoring.rates import rate_strengths

N_CELLS = 128
N_FEATURES = 15
N_RATES = 3 * N_FEATURES
WEEK = 168
NEVER = 10**9
NO_CELLS = NumberCells(np.zeros(0))
SIMULATED = FeatureReference("simulated", "number", NO_CELLS, NO_CELLS.count([]))
CUTS = special.ndtri(np.arange(1, N_CELLS) / N_CELLS)


@dataclass(frozen=True)
class Source:
    """Where the rows of one stream come from: chances of its cells before and after a change."""

    shape: Shape
    before: np.ndarray
    after: np.ndarray


def normal(shift: float = 0.0, spread: float = 1.0) -> Source:
    """Return a normal number that moves by ``shift`` standard deviations and widens by ``spread``."""
    edges = special.ndtr(np.concatenate([[-np.inf], (CUTS - shift) / spread, [np.inf]]))
    return Source("number", np.full(N_CELLS, 1 / N_CELLS), np.diff(edges))


def share(base: float, change: float = 0.0) -> Source:
    """Return a category of four whose first has the share ``base`` and changes by ``change``."""
    rest = np.array([0.5, 0.3, 0.2])
    chances = [np.concatenate([[p], rest * (1 - p)]) for p in (base, base + change)]
    return Source("category", *chances)


def rate(base: float, change: float = 0.0) -> Source:
    """Return a rate, such as that of missing values."""
    return Source("rate", *(np.array([p, 1 - p]) for p in (base, base + change)))


def steps() -> Source:
    """Return a whole number from 0 to 11."""
    return Source("number", np.full(12, 1 / 12), np.full(12, 1 / 12))


def model() -> list[Source]:
    """Return the streams of a model of 15 features with their missing rates, none of which changes."""
    features = [normal() for _ in range(11)] + [steps(), share(0.05), share(0.3), share(0.6)]
    return features + [rate(0.02) for _ in range(N_FEATURES)]


def stream_of(source: Source, m: int, policy: Policy, rng: np.random.Generator) -> Stream:
    """Draw a reference of m rows."""
    is_rate = source.shape == "rate"
    return Stream(
        label="simulated",
        role="feature",
        check="missing" if is_rate else "distribution",
        shape=source.shape,
        reference=rng.multinomial(m, source.before),
        windows=np.zeros((0, 0), dtype=np.int64),
        spans=(),
        delta=policy.quality_delta if is_rate else policy.delta,
        part="simulated",
        read=lambda counts: counts,
    )


def drawn(source: Source, n: int, n_before: int, n_after: int, rng: np.random.Generator) -> np.ndarray:
    """Draw hours of n rows and return running sums; shape (n_before + n_after + 1, n_cells)."""
    hours = np.concatenate(
        [
            np.zeros((1, len(source.before)), dtype=np.int64),
            rng.multinomial(n, source.before, size=n_before),
            rng.multinomial(n, source.after, size=n_after),
        ]
    )
    return np.cumsum(hours, axis=0)


def alarms(
    stream: Stream, budget: Budget, rungs: tuple[Rung, ...], sums: np.ndarray, start: int
) -> list[int]:
    """Return the hours, from ``start`` on, whose windows are beyond their threshold."""
    found: set[int] = set()
    for rung in rungs:
        ends = np.arange(start, len(sums) - 1)
        ends = ends[((ends + 1) % rung.stride == 0) & (ends + 1 >= rung.n_periods)]
        windows = sums[ends + 1] - sums[ends + 1 - rung.n_periods]
        strengths = strongest(stream, budget, windows, np.full(len(ends), budget.of_rung(rung)))
        found.update(ends[strengths > 1].tolist())
    return sorted(found)


def strongest(stream: Stream, budget: Budget, windows: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return for each window how far it is towards an alarm."""
    if stream.shape == "rate":
        return rate_strengths([stream], windows[:, np.newaxis, :], budget, levels, np.ones(1))[:, 0]
    n = windows.sum(axis=1).astype(np.float64)
    tests = tests_of(stream, budget)
    return np.max([test.strengths(windows, n, levels).max(axis=1) for test in tests], axis=0)


def month_of_false_alarms(n: int, m: int, policy: Policy, rng: np.random.Generator) -> int:
    """Simulate a month in which nothing changes and return how many hours had an alarm."""
    n_alarms = 0
    for source in model():
        kind: StreamKind = "rate" if source.shape == "rate" else "distribution"
        budget = share_of(policy, kind, N_RATES if kind == "rate" else N_FEATURES)
        sums = drawn(source, n, WEEK, 720, rng)
        n_alarms += len(alarms(stream_of(source, m, policy, rng), budget, ladder(720), sums, WEEK))
    return n_alarms


def moved(reference: np.ndarray, size: float) -> Source:
    """Return the worst change of a size: so much of the sample's mass goes from far left to far right."""
    shares = reference / reference.sum()
    below = np.maximum(np.cumsum(shares) - size, 0.0)
    chances = np.diff(np.concatenate([[0.0], below[:-1], [1.0]]))
    return Source("number", chances, chances)


def is_month_alarmed_by_small_shift(n: int, m: int, policy: Policy, rng: np.random.Generator) -> bool:
    """Simulate a month in which one feature sits just delta away from its training sample."""
    stream = stream_of(normal(), m, policy, rng)
    sums = drawn(moved(stream.reference, policy.delta), n, WEEK, 720, rng)
    return bool(alarms(stream, share_of(policy, "distribution", N_FEATURES), ladder(720), sums, WEEK))


def hours_to_alarm(source: Source, n: int, m: int, policy: Policy, rng: np.random.Generator) -> int:
    """Simulate a change at a random hour and return how many hours it lasts until the alarm."""
    start = WEEK + int(rng.integers(0, 24))
    budget, stream = share_of(policy, "distribution", N_FEATURES), stream_of(source, m, policy, rng)
    sums = drawn(source, n, start, 0, rng)
    for n_more in (24, 72, 624):  # most alarms come early: a month is drawn only where it is needed
        sums = np.concatenate([sums, sums[-1] + drawn(source, n, 0, n_more, rng)[1:]])
        if hours := alarms(stream, budget, ladder(720), sums, start):
            return hours[0] - start + 1
    return NEVER


def is_found_at_once(source: Source, n: int, m: int, policy: Policy, rng: np.random.Generator) -> bool:
    """Say whether the first check after n rows of a new model finds a change."""
    stream, sums = stream_of(source, m, policy, rng), drawn(source, n, 0, 1, rng)
    return bool(alarms(stream, share_of(policy, "distribution", N_FEATURES), ladder(720)[:1], sums, 0))


CHANGES: dict[str, Callable[[], Source]] = {
    "+0.5 sd": lambda: normal(0.5),
    "+0.25 sd": lambda: normal(0.25),
    "spread x 1.5": lambda: normal(0.0, 1.5),
    "share 5 -> 10 %": lambda: share(0.05, 0.05),
    "share 30 -> 35 %": lambda: share(0.3, 0.05),
    "share 60 -> 65 %": lambda: share(0.6, 0.05),
    "+0.1 sd": lambda: normal(0.1),
    "+0.02 sd": lambda: normal(0.02),
}


def print_false_alarms(args: argparse.Namespace, policy: Policy, rng: np.random.Generator) -> None:
    """Print the months with any false alarm by rows an hour and size of the reference."""
    print(f"\nMonths with any false alarm, of {args.months} (hourly checks of {N_FEATURES} features)")
    for m in (2_000, 20_000):
        for n in (200, 1_000, 10_000):
            months = [month_of_false_alarms(n, m, policy, rng) for _ in range(args.months)]
            n_alarmed = np.count_nonzero(months)
            print(f"  reference {m:>6}, {n:>6} rows an hour: {n_alarmed:>3}  ({sum(months)} hours)")


def print_small_shifts(args: argparse.Namespace, policy: Policy, rng: np.random.Generator) -> None:
    """Print the months in which the worst shift of size delta raised an alarm."""
    print(f"\nMonths with an alarm at a feature that is exactly delta off, of {args.months}")
    for n in (200, 1_000, 10_000, 100_000):
        runs = (is_month_alarmed_by_small_shift(n, args.reference, policy, rng) for _ in range(args.months))
        print(f"  {n:>6} rows an hour: {sum(runs):>3}")


def print_delays(args: argparse.Namespace, policy: Policy, rng: np.random.Generator) -> None:
    """Print the median hours to the alarm by change and rows an hour."""
    print(f"\nMedian hours to the alarm at 200, 1,000, 10,000 and 100,000 rows an hour ({args.runs} runs,")
    print(f"reference {args.reference}, delta {policy.delta})")
    for name, make in CHANGES.items():
        row = []
        for n in (200, 1_000, 10_000, 100_000):
            n_runs = args.runs if n < 100_000 else max(5, args.runs // 5)
            hours = [hours_to_alarm(make(), n, args.reference, policy, rng) for _ in range(n_runs)]
            median = np.median(hours)
            row.append("  never" if median > 720 else f"{median:7.1f}")
        print(f"  {name:<18}" + " ".join(row))


def print_first_checks(args: argparse.Namespace, policy: Policy, rng: np.random.Generator) -> None:
    """Print how often the first check of 500 rows finds half a standard deviation."""
    print(f"\n+0.5 sd on one of {N_FEATURES} features, n = 500, found in the first check")
    for m in (2_000, 20_000, 50_000):
        found = [is_found_at_once(normal(0.5), 500, m, policy, rng) for _ in range(args.runs * 10)]
        print(f"  reference {m:>6}: {100 * np.mean(found):5.1f} %")


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--months", type=int, default=200)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--reference", type=int, default=20_000)
    parser.add_argument("--delta", type=float, default=Policy().delta)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    policy, rng = Policy(delta=args.delta), np.random.default_rng(args.seed)
    for show in (print_first_checks, print_delays, print_small_shifts, print_false_alarms):
        started = time.perf_counter()
        show(args, policy, rng)
        print(f"  ({time.perf_counter() - started:.0f} s)")


if __name__ == "__main__":
    main()
