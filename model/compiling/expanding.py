"""Steps that make more columns or coarser ones: polynomials, splines and bins."""

from itertools import chain, combinations
from itertools import combinations_with_replacement as with_replacement
from math import factorial
from typing import Any

import numpy as np
from sklearn.preprocessing import Binarizer, KBinsDiscretizer, PolynomialFeatures, SplineTransformer

from model.compiling.errors import NotCompilableError
from model.compiling.formulas import clipped, number, whole
from model.compiling.graph import Graph
from model.compiling.piecewise import count_edges, doubt_near
from model.compiling.registry import converts
from model.compiling.tables import Column, Table, stack
from model.compiling.words import Floats

Term = tuple[int, ...]


@converts(PolynomialFeatures)
def _polynomial(step: Any, table: Table, graph: Graph) -> Table:
    wanted = _terms(step, table.n_columns)
    made: dict[Term, Column] = {(i,): column for i, column in enumerate(table.columns)}
    if () in wanted:
        made[()] = graph.ones().columns[0]
    for degree in range(2, max(map(len, wanted), default=1) + 1):
        terms = [term for term in wanted if len(term) == degree]
        made |= _products(_with_parts(terms, made), made, graph, table.is_sparse)
    return Table(tuple(made[term] for term in wanted))


def _terms(step: Any, n_columns: int) -> list[Term]:
    choose = combinations if step.interaction_only else with_replacement
    degrees = range(max(1, step._min_degree), step._max_degree + 1)
    terms = chain.from_iterable(choose(range(n_columns), degree) for degree in degrees)
    return [*([()] if step.include_bias else []), *terms]


def _with_parts(terms: list[Term], made: dict[Term, Column]) -> list[Term]:
    """Return the terms, and before them the shorter ones that they are made of and that are not wanted."""
    parts: dict[Term, None] = {}
    for term in terms:
        for length in range(2, len(term) + 1):
            if term[-length:] not in made:
                parts[term[-length:]] = None
    return sorted(parts, key=len)


def _products(
    terms: list[Term], made: dict[Term, Column], graph: Graph, is_sparse: bool
) -> dict[Term, Column]:
    """Multiply the first factor with the product of the others, as scikit-learn does with dense columns."""
    products: dict[Term, Column] = {}
    for degree in sorted({len(term) for term in terms}):
        chosen = [term for term in terms if len(term) == degree]
        known = made | products
        first = Table(tuple(known[term[:1]] for term in chosen))
        rest = Table(tuple(known[term[1:]] for term in chosen))
        result = graph.node("Mul", graph.matrix(rest), graph.matrix(first))
        for i, (term, one, other) in enumerate(zip(chosen, first.columns, rest.columns, strict=True)):
            blur = max(one.blur, other.blur, 1.0 if is_sparse and degree > 2 else 0.0)
            products[term] = Column(result, i, may_miss=one.may_miss or other.may_miss, blur=blur)
        graph.table(result, len(chosen))
    return products


@converts(SplineTransformer)
def _splines(step: Any, table: Table, graph: Graph) -> Table:
    """Evaluate each segment's polynomials, found once from the B-splines, by Horner's rule."""
    if step.extrapolation not in ("constant", "continue"):
        raise NotCompilableError(f"extrapolation={step.extrapolation!r}")
    graph.refuse_missing(table)
    parts = [_spline(step, graph, graph.matrix(table.select([i])), i) for i in range(table.n_columns)]
    widths = [spline.c.shape[1] - (not step.include_bias) for spline in step.bsplines_]
    return stack([graph.table(part, width, blur=1.0) for part, width in zip(parts, widths, strict=True)])


def _spline(step: Any, graph: Graph, x: str, position: int) -> str:
    spline = step.bsplines_[position]
    knots = spline.t[step.degree : len(spline.t) - step.degree]
    terms = _taylor(spline, knots[:-1])
    if not step.include_bias:
        terms = [term[:, :-1] for term in terms]
    if step.extrapolation == "constant":
        x = clipped(graph, x, [knots[0]], [knots[-1]])
    segment = whole(graph, count_edges(graph, x, [knots[1:-1]], is_right=True))
    flat = graph.node("Reshape", segment, graph.constant([-1], np.int64))
    run = graph.node("Sub", x, graph.node("Gather", graph.constant(knots[:-1]), segment))
    value = graph.node("Gather", graph.constant(terms[0]), flat)
    for term in terms[1:]:
        more = graph.node("Gather", graph.constant(term), flat)
        value = graph.node("Add", graph.node("Mul", value, run), more)
    return value


def _taylor(spline: Any, starts: Floats) -> list[Floats]:
    """Return the coefficients of each segment's polynomials around its start, highest power first."""
    powers = range(spline.k, -1, -1)
    return [spline(starts, nu=power) / factorial(power) for power in powers]


@converts(Binarizer)
def _binarizer(step: Any, table: Table, graph: Graph) -> Table:
    graph.refuse_missing(table)
    doubt_near(graph, table, [np.array([float(step.threshold)])] * table.n_columns)
    flags = graph.node("Greater", graph.matrix(table), graph.constant([[float(step.threshold)]]))
    return graph.table(number(graph, flags), table.n_columns)


@converts(KBinsDiscretizer)
def _bins(step: Any, table: Table, graph: Graph) -> Table:
    graph.refuse_missing(table)
    edges = [np.asarray(column[1:-1], dtype=np.float64) for column in step.bin_edges_]
    doubt_near(graph, table, edges)
    bins = graph.table(count_edges(graph, graph.matrix(table), edges, is_right=True), table.n_columns)
    if step.encode == "ordinal":
        return bins
    counts = [int(n_bins) for n_bins in step.n_bins_]
    spread = graph.matrix(bins.select(np.repeat(np.arange(table.n_columns), counts)))
    flags = graph.node("Equal", spread, graph.row(np.concatenate([np.arange(n_bins) for n_bins in counts])))
    return graph.table(number(graph, flags), sum(counts))
