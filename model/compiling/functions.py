"""FunctionTransformer: known functions of numpy and scipy, element by element.

Register a function of your own with ``@converts(my_function)``; the converter gets the FunctionTransformer,
so it can read ``kw_args``.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy import special
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import check_array

from model.compiling.errors import NotCompilableError
from model.compiling.formulas import clipped, expm1, log1p, number, one
from model.compiling.graph import Graph
from model.compiling.registry import converts, find
from model.compiling.tables import Table

Formula = Callable[[Graph, str], str]


@converts(FunctionTransformer)
def _function(step: Any, table: Table, graph: Graph) -> Table:
    return _apply(step.func, step, table, graph)


@converts(FunctionTransformer, method="inverse_transform")
def _inverse_function(step: Any, table: Table, graph: Graph) -> Table:
    return _apply(step.inverse_func, step, table, graph)


def _apply(function: Any, step: Any, table: Table, graph: Graph) -> Table:
    if function is None or (isinstance(function, partial) and function.func is check_array):
        return table
    converter = find(function, "transform")
    if converter is None:
        raise NotCompilableError(f"no converter for the function {getattr(function, '__name__', function)!r}")
    return converter(step, table, graph)


def _register(function: Any, formula: Formula, *, is_exact: bool = False, is_bounded: bool = True) -> None:
    """Register a formula; one that can make an infinite or missing number out of a number is not bounded."""

    def apply(step: Any, table: Table, graph: Graph) -> Table:
        if step.kw_args or (step.inv_kw_args and function is step.inverse_func):
            raise NotCompilableError(f"arguments of {function.__name__}")
        result = formula(graph, graph.matrix(table))
        if not is_bounded:
            graph.doubt(graph.node("IsInf", result))
        columns = graph.like(result, table, blur=0.0 if is_exact else 1.0)
        return (
            columns if is_bounded else graph.table(result, table.n_columns, may_miss=True, blur=columns.blur)
        )

    converts(function)(apply)


def _node(op: str) -> Formula:
    return lambda graph, x: graph.node(op, x)


def _scaled(formula: Formula, factor: float) -> Formula:
    return lambda graph, x: graph.node("Mul", formula(graph, x), graph.constant([[factor]]))


def _of_scaled(op: str, factor: float) -> Formula:
    return lambda graph, x: graph.node(op, graph.node("Mul", x, graph.constant([[factor]])))


def _tangent(graph: Graph, x: str) -> str:
    return graph.node("Div", graph.node("Sin", x), graph.node("Cos", x))


def _logit(graph: Graph, x: str) -> str:
    return graph.node("Log", graph.node("Div", x, graph.node("Sub", one(graph), x)))


def _is_missing(graph: Graph, x: str) -> str:
    return number(graph, graph.node("IsNaN", x))


_register(np.abs, _node("Abs"), is_exact=True)
_register(np.negative, _node("Neg"), is_exact=True)
_register(np.sign, _node("Sign"), is_exact=True)
_register(np.floor, _node("Floor"), is_exact=True)
_register(np.ceil, _node("Ceil"), is_exact=True)
_register(np.rint, _node("Round"), is_exact=True)
_register(np.square, lambda graph, x: graph.node("Mul", x, x), is_exact=True)
_register(np.sqrt, _node("Sqrt"), is_exact=True, is_bounded=False)
_register(np.reciprocal, lambda graph, x: graph.node("Div", one(graph), x), is_exact=True, is_bounded=False)
_register(np.isnan, _is_missing, is_exact=True)
_register(np.sin, _node("Sin"))
_register(np.cos, _node("Cos"))
_register(np.tan, _tangent)
_register(np.tanh, _node("Tanh"))
_register(np.exp, _node("Exp"), is_bounded=False)
_register(np.exp2, _of_scaled("Exp", float(np.log(2.0))), is_bounded=False)
_register(np.expm1, expm1, is_bounded=False)
_register(np.log, _node("Log"), is_bounded=False)
_register(np.log2, _scaled(_node("Log"), float(1.0 / np.log(2.0))), is_bounded=False)
_register(np.log10, _scaled(_node("Log"), float(1.0 / np.log(10.0))), is_bounded=False)
_register(np.log1p, log1p, is_bounded=False)
_register(special.expit, _node("Sigmoid"))
_register(special.logit, _logit, is_bounded=False)
_register(np.deg2rad, lambda graph, x: graph.node("Mul", x, graph.constant([[np.pi / 180.0]])))
_register(np.radians, lambda graph, x: graph.node("Mul", x, graph.constant([[np.pi / 180.0]])))


@converts(np.asarray, np.array, np.float64)
def _identity(step: Any, table: Table, graph: Graph) -> Table:
    if step.kw_args:
        raise NotCompilableError("arguments of a conversion")
    return table


@converts(np.clip)
def _clip(step: Any, table: Table, graph: Graph) -> Table:
    arguments = dict(step.kw_args or {})
    low, high = (
        arguments.pop(name, arguments.pop(other, None))
        for name, other in (("a_min", "min"), ("a_max", "max"))
    )
    if arguments or np.ndim(low) or np.ndim(high):
        raise NotCompilableError("arguments of clip")
    ends = (-np.inf if low is None else low, np.inf if high is None else high)
    return graph.like(clipped(graph, graph.matrix(table), [ends[0]], [ends[1]]), table)
