"""Steps that bend a distribution: power and quantile transforms."""

from typing import Any

import numpy as np
from scipy import stats
from sklearn.preprocessing import PowerTransformer, QuantileTransformer

from model.compiling.errors import NotCompilableError
from model.compiling.formulas import clipped, expm1, log1p, one
from model.compiling.graph import Graph
from model.compiling.piecewise import Knots, interpolate
from model.compiling.registry import convert, converts
from model.compiling.tables import Table
from model.compiling.words import Floats

# scikit-learn keeps that far from the ends of a distribution.
BOUNDS_THRESHOLD = 1e-7


@converts(PowerTransformer)
def _power(step: Any, table: Table, graph: Graph) -> Table:
    bend = _yeo_johnson if step.method == "yeo-johnson" else _box_cox
    bent = graph.like(bend(graph, graph.matrix(table), np.asarray(step.lambdas_)), table, blur=1.0)
    return convert(step._scaler, "transform", bent, graph) if step.standardize else bent


def _yeo_johnson(graph: Graph, x: str, exponents: Floats) -> str:
    """Bend each side of 0 by its own exponent (Yeo and Johnson 2000)."""
    zero = graph.constant([[0.0]])
    up = _bent(graph, log1p(graph, graph.node("Max", x, zero)), exponents)
    down = _bent(graph, log1p(graph, graph.node("Max", graph.node("Neg", x), zero)), 2.0 - exponents)
    is_up = graph.node("GreaterOrEqual", x, zero)
    return graph.node("Where", is_up, up, graph.node("Neg", down))


def _box_cox(graph: Graph, x: str, exponents: Floats) -> str:
    graph.doubt(graph.node("LessOrEqual", x, graph.constant([[0.0]])))
    return _bent(graph, graph.node("Log", x), exponents)


def _bent(graph: Graph, logarithm: str, exponents: Floats) -> str:
    """Return (exp(e log) - 1) / e for each column's exponent e, and the logarithm itself where e is 0."""
    is_zero = np.abs(exponents) < np.finfo(np.float64).eps
    safe = np.where(is_zero, 1.0, exponents)
    power = expm1(graph, graph.node("Mul", logarithm, graph.row(safe)))
    bent = graph.node("Div", power, graph.row(safe))
    if not is_zero.any():
        return bent
    return graph.node("Where", graph.constant(is_zero.reshape(1, -1), np.bool_), logarithm, bent)


@converts(QuantileTransformer)
def _quantile(step: Any, table: Table, graph: Graph) -> Table:
    columns = [np.asarray(values, dtype=np.float64) for values in step.quantiles_.T]
    if any(len(np.unique(values)) < 2 for values in columns):
        raise NotCompilableError("a column has a single value")
    share = interpolate(graph, table, [_knots(values, step.references_) for values in columns])
    matrix = graph.matrix(table)
    share = _ends(step, graph, matrix, share, columns)
    result = share if step.output_distribution == "uniform" else _normal(graph, share)
    kept = graph.node("Where", graph.node("IsNaN", matrix), matrix, result)
    return graph.like(kept, table, blur=1.0)


def _knots(values: Floats, references: Floats) -> Knots:
    """Return the mean of the interpolations from below and from above: it jumps at repeated quantiles."""
    x, first, counts = np.unique(values, return_index=True, return_counts=True)
    low, high = references[first], references[first + counts - 1]
    return Knots(x, before=low, at=0.5 * (low + high), after=high)


def _ends(step: Any, graph: Graph, matrix: str, share: str, columns: list[Floats]) -> str:
    """Put 0 and 1 at the ends, which the normal distribution widens a little."""
    margin = BOUNDS_THRESHOLD if step.output_distribution == "normal" else 0.0
    low = graph.row([values[0] for values in columns])
    high = graph.row([values[-1] for values in columns])
    shift = graph.constant([[margin]])
    ops = ("Less", "Greater") if margin else ("LessOrEqual", "GreaterOrEqual")
    is_low = graph.node(ops[0], graph.node("Sub", matrix, shift), low)
    is_high = graph.node(ops[1], graph.node("Add", matrix, shift), high)
    inner = graph.node("Where", is_high, one(graph), share)
    return graph.node("Where", is_low, graph.constant([[0.0]]), inner)


def _normal(graph: Graph, share: str) -> str:
    limit = BOUNDS_THRESHOLD - np.spacing(1)
    low, high = float(stats.norm.ppf(limit)), float(stats.norm.ppf(1 - limit))
    inside = clipped(graph, share, [limit], [1 - limit])
    return clipped(graph, normal_quantile(graph, inside), [low], [high])


# Wichura (1988), algorithm AS 241 (PPND16): numerator and denominator, from the constant term up, for
# |p - 1/2| <= 0.425 and for tails down to exp(-25).
_MIDDLE = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
     4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
)  # fmt: skip
_TAIL = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
     1.27045825245236838258e0, 2.4178072517745061177e-1, 2.27238449892691845833e-2, 7.7454501427834140764e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684e-9),
)  # fmt: skip


def normal_quantile(graph: Graph, share: str) -> str:
    """Return the standard normal quantile of shares between exp(-25) and 1 - exp(-25)."""
    q = graph.node("Sub", share, graph.constant([[0.5]]))
    middle_r = graph.node("Sub", graph.constant([[0.180625]]), graph.node("Mul", q, q))
    middle = graph.node("Mul", q, _ratio(graph, middle_r, _MIDDLE))
    tail = graph.node("Min", share, graph.node("Sub", one(graph), share))
    root = graph.node("Sqrt", graph.node("Neg", graph.node("Log", tail)))
    outer = _ratio(graph, graph.node("Sub", root, graph.constant([[1.6]])), _TAIL)
    signed = graph.node("Mul", graph.node("Sign", q), outer)
    is_middle = graph.node("LessOrEqual", graph.node("Abs", q), graph.constant([[0.425]]))
    return graph.node("Where", is_middle, middle, signed)


def _ratio(graph: Graph, x: str, coefficients: tuple[tuple[float, ...], tuple[float, ...]]) -> str:
    return graph.node("Div", *(_polynomial(graph, x, terms) for terms in coefficients))


def _polynomial(graph: Graph, x: str, terms: tuple[float, ...]) -> str:
    """Evaluate by Horner's rule, ``terms`` from the constant up."""
    value = graph.constant([[terms[-1]]])
    for term in reversed(terms[:-1]):
        value = graph.node("Add", graph.node("Mul", value, x), graph.constant([[term]]))
    return value
