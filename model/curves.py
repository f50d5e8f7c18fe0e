"""Pictures of an experiment as SVG: ROC and precision-recall curves, values against the truth, the ranking.

They need no plotting library, so that an experiment has its pictures wherever it runs.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from model.experiment import Bench, Tried

Floats = NDArray[np.float64]

SIDE, LEFT, TOP, LINE = 320.0, 56.0, 28.0, 18.0
COLOURS = ("#0b6e99", "#b5542c", "#4c7a34", "#7b4a9e", "#8a6d00")
MAX_CURVES, MAX_POINTS = len(COLOURS), 400
STYLE = "font: 12px system-ui, sans-serif"


def pictures(bench: Bench, ranked: Sequence[Tried]) -> dict[str, str]:
    """Return the pictures of an experiment, file name to SVG.

    Parameters
    ----------
    bench : Bench
        What the candidates were tried on.
    ranked : sequence of Tried
        The best first; curves are of the first five.
    """
    found = {"ranking.svg": _ranking(bench.metric, ranked)}
    best = [one for one in ranked if one.scores is not None][:MAX_CURVES]
    if bench.spec.task == "regression":
        return found | ({"truth.svg": _truth(bench, best[0])} if best else {})
    if bench.spec.positive_index is None or not best:
        return found
    is_positive = bench.rows.y == bench.spec.positive_index
    roc, precision = {}, {}
    for one in best:
        assert one.scores is not None  # noqa: S101  narrows the type
        probability = one.scores[:, bench.spec.positive_index]
        away, found_share, _ = roc_curve(is_positive, probability)
        roc[one.candidate.text] = (away, found_share)
        right, recall, _ = precision_recall_curve(is_positive, probability)
        precision[one.candidate.text] = (recall, right)
    return found | {
        "roc.svg": _curves("ROC", "false positive rate", "true positive rate", roc),
        "precision_recall.svg": _curves("Precision and recall", "recall", "precision", precision),
    }


def _curves(title: str, x: str, y: str, curves: Mapping[str, tuple[Floats, Floats]]) -> str:
    shapes = [
        f'<polyline fill="none" stroke="{COLOURS[i]}" stroke-width="1.5" points="{_points(*curve)}"/>'
        for i, curve in enumerate(curves.values())
    ]
    return _svg(title, [*_frame(x, y, ("0", "1"), ("0", "1")), *shapes, *_legend(curves)], len(curves))


def _points(x: Floats, y: Floats) -> str:
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), MAX_POINTS)).astype(int))
    return " ".join(f"{LEFT + SIDE * x[i]:.1f},{TOP + SIDE * (1 - y[i]):.1f}" for i in kept)


def _truth(bench: Bench, one: Tried) -> str:
    assert one.scores is not None  # noqa: S101  narrows the type
    kept = np.unique(np.linspace(0, len(one.scores) - 1, min(len(one.scores), MAX_POINTS)).astype(int))
    truth, answer = bench.rows.y[kept], one.scores[kept]
    low, high = float(min(truth.min(), answer.min())), float(max(truth.max(), answer.max()))
    width = max(high - low, 1e-12)
    dots = [
        f'<circle cx="{LEFT + SIDE * (a - low) / width:.1f}" cy="{TOP + SIDE * (high - b) / width:.1f}"'
        f' r="2" fill="{COLOURS[0]}" fill-opacity="0.5"/>'
        for a, b in zip(truth, answer, strict=True)
    ]
    ends = (f"{low:.4g}", f"{high:.4g}")
    diagonal = f'<path d="M{LEFT} {TOP + SIDE}L{LEFT + SIDE} {TOP}" stroke="#888"/>'
    shapes = [*_frame("truth", "answer (out of fold)", ends, ends), diagonal, *dots]
    return _svg(one.candidate.text, shapes, 0)


def _ranking(metric: str, ranked: Sequence[Tried]) -> str:
    """Draw mean and standard deviation of each candidate."""
    known = [(one, float(one.metrics[metric]["mean"] or 0), float(one.metrics[metric]["std"] or 0))
             for one in ranked if one.value(metric) is not None]  # fmt: skip
    low = min((mean - spread for _, mean, spread in known), default=0.0)
    high = max((mean + spread for _, mean, spread in known), default=1.0)
    width = max(high - low, 1e-12)
    shapes = []
    for row, (one, mean, spread) in enumerate(known):
        at = TOP + LINE * (row + 0.7)
        ends = [LEFT + SIDE * (value - low) / width for value in (mean - spread, mean, mean + spread)]
        shapes += [
            f'<path d="M{ends[0]:.1f} {at:.1f}H{ends[2]:.1f}" stroke="{COLOURS[0]}"/>',
            f'<circle cx="{ends[1]:.1f}" cy="{at:.1f}" r="3.5" fill="{COLOURS[0]}"/>',
            _text(LEFT + SIDE + 12, at + 4, f"{mean:.4g} ± {spread:.2g}  {one.candidate.text}"),
        ]
    title = f"{metric}, mean and standard deviation over the folds"
    return _svg(title, shapes, 0, height=TOP + LINE * (len(known) + 1))


def _frame(x: str, y: str, x_ends: tuple[str, str], y_ends: tuple[str, str]) -> list[str]:
    bottom = TOP + SIDE
    return [
        f'<rect x="{LEFT}" y="{TOP}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#888"/>',
        _text(LEFT, bottom + 16, x_ends[0]),
        _text(LEFT + SIDE, bottom + 16, x_ends[1], "end"),
        _text(LEFT + SIDE / 2, bottom + 16, x, "middle"),
        _text(LEFT - 6, bottom, y_ends[0], "end"),
        _text(LEFT - 6, TOP + 10, y_ends[1], "end"),
        f'<g transform="translate({LEFT - 12} {TOP + SIDE / 2}) rotate(-90)">{_text(0, 0, y, "middle")}</g>',
    ]


def _legend(names: Iterable[str]) -> list[str]:
    rows = enumerate(names)
    return [
        part
        for i, name in rows
        for part in (
            f'<path d="M{LEFT} {TOP + SIDE + 28 + LINE * i}h18" stroke="{COLOURS[i]}" stroke-width="3"/>',
            _text(LEFT + 24, TOP + SIDE + 32 + LINE * i, name),
        )
    ]


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(title: str, shapes: Sequence[str], n_lines: int, height: float | None = None) -> str:
    width = LEFT + SIDE + 460
    tall = TOP + SIDE + 36 + LINE * n_lines if height is None else height
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {tall:.0f}" style="{STYLE}">'
    ground = f'<rect width="{width:.0f}" height="{tall:.0f}" fill="#fff"/>'
    return "\n".join(
        [head, f"<title>{escape(title)}</title>", ground, _text(LEFT, 16, title), *shapes, "</svg>"]
    )
