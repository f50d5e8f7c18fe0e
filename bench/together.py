"""Which checks see that features no longer go together while each alone is unchanged.

    python -m bench.together          # a few minutes

For several forms of dependence: the share of windows with an alarm after it broke, and without any change,
of the pairs' agreement, of the scores beside it (the default policy, both), of the reconstruction error of a
PCA (three standard deviations of reference chunks), and of a domain classifier (AUC above 0.65).
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from model.monitoring import ModelReference, Timeline, decide

N_FEATURES, N_TRAINING = 15, 10_000
Rows = dict[str, np.ndarray]
Judge = Callable[[Rows], bool]


def independent(n: int, rng: np.random.Generator) -> Rows:
    """Return features that have nothing to do with each other."""
    return {f"f{i}": rng.normal(size=n) for i in range(N_FEATURES)}


def correlated(rho: float) -> Callable[[int, np.random.Generator], Rows]:
    """Return what draws two normal features of a correlation."""

    def draw(n: int, rng: np.random.Generator) -> Rows:
        rows = independent(n, rng)
        return rows | {"f1": rho * rows["f0"] + np.sqrt(1 - rho**2) * rows["f1"]}

    return draw


def squared(n: int, rng: np.random.Generator) -> Rows:
    """Return a feature that goes with the square of another, which no correlation shows."""
    rows = independent(n, rng)
    return rows | {"f1": rows["f0"] ** 2 + 0.5 * rows["f1"]}


def three_way(n: int, rng: np.random.Generator) -> Rows:
    """Return three features of which no two depend on each other, but the third's sign is that of the others'
    product."""
    rows = independent(n, rng)
    return rows | {"f1": np.abs(rows["f1"]) * np.sign(rows["f0"] * rows["f2"])}


CASES: Mapping[str, Callable[[int, np.random.Generator], Rows]] = {
    "correlation 0.6": correlated(0.6),
    "correlation 0.3": correlated(0.3),
    "y goes with x squared": squared,
    "sign of a product of two": three_way,
}


def judges(training: Rows) -> dict[str, Judge]:
    """Return the checks, fitted."""
    reference = ModelReference.fit(training, dict.fromkeys(training, "number"))
    table = matrix(training)
    return {
        "pairs": ours(replace(reference, joint=None)),
        "pairs and scores": ours(reference),
        "PCA": by_pca(table),
        "classifier": by_classifier(table),
    }


def ours(reference: ModelReference) -> Judge:
    return lambda rows: decide(reference, Timeline.of(reference.count(rows))).is_drift


def by_pca(table: np.ndarray) -> Judge:
    """Judge the mean error of a PCA that keeps 65 % of the variance, as NannyML does by default."""
    mean, spread = table.mean(axis=0), table.std(axis=0)
    fitted = PCA(n_components=0.65).fit((table - mean) / spread)

    def error(rows: np.ndarray) -> float:
        scaled = (rows - mean) / spread
        again = fitted.inverse_transform(fitted.transform(scaled))
        return float(np.linalg.norm(scaled - again, axis=1).mean())

    def is_beyond(rows: Rows) -> bool:
        n = len(rows["f0"])
        chunks = [error(table[start : start + n]) for start in range(0, len(table) - n + 1, n)]
        return abs(error(matrix(rows)) - np.mean(chunks)) > 3 * np.std(chunks)

    return is_beyond


def by_classifier(table: np.ndarray) -> Judge:
    def is_beyond(rows: Rows) -> bool:
        now = matrix(rows)
        both = np.concatenate([table[: len(now)], now])
        whose = np.repeat([0, 1], len(now))
        model = HistGradientBoostingClassifier(max_iter=50, random_state=0)
        score = cross_val_predict(model, both, whose, cv=3, method="predict_proba")[:, 1]
        return float(roc_auc_score(whose, score)) > 0.65

    return is_beyond


def matrix(rows: Rows) -> np.ndarray:
    return np.stack(list(rows.values()), axis=1)


def broken(rows: Rows, rng: np.random.Generator) -> Rows:
    """Shuffle one feature: it stays as it is and goes with nothing."""
    return rows | {"f1": rng.permutation(rows["f1"])}


def main() -> None:
    """Print one line a form of dependence."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--runs", type=int, default=20)
    args = parser.parse_args()
    print(f"Windows of {args.rows:,} rows with an alarm, of {args.runs}: broken, unchanged")
    for name, draw in CASES.items():
        rng = np.random.default_rng(0)
        found = judges(draw(N_TRAINING, rng))
        windows = [draw(args.rows, rng) for _ in range(args.runs)]
        for method, judge in found.items():
            hits = sum(judge(broken(rows, rng)) for rows in windows)
            print(f"  {name:<26} {method:<18} {hits:>3} {sum(map(judge, windows)):>3}", flush=True)


if __name__ == "__main__":
    main()
