"""Imputers that fill a constant learnt at training, and the flags of what was missing."""

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.impute import MissingIndicator, SimpleImputer

from model.compiling.errors import NotCompilableError
from model.compiling.formulas import number
from model.compiling.graph import Graph
from model.compiling.registry import converts
from model.compiling.tables import Column, Table, stack


@converts(SimpleImputer)
def _simple(step: Any, table: Table, graph: Graph) -> Table:
    _check_missing_is_nan(step)
    kept = _kept(step)
    fills = [step.statistics_[index] for index in kept]
    filled = _fill(table.select(kept), fills, graph)
    if step.indicator_ is None:
        return filled
    return stack([filled, _indicator(step.indicator_, table, graph)])


@converts(MissingIndicator)
def _indicator(step: Any, table: Table, graph: Graph) -> Table:
    _check_missing_is_nan(step)
    features = [int(index) for index in step.features_]
    if not features:
        return Table(())
    flags = [_is_missing(table.columns[index], graph) for index in features]
    if len(flags) == 1 or table.select(features).has_text:
        return stack([graph.table(number(graph, flag), 1) for flag in flags])
    matrix = graph.node("IsNaN", graph.matrix(table.select(features)))
    return graph.table(number(graph, matrix), len(features))


def _check_missing_is_nan(step: Any) -> None:
    if not (isinstance(step.missing_values, float) and np.isnan(step.missing_values)):
        raise NotCompilableError(f"missing_values={step.missing_values!r} is not NaN")


def _kept(step: Any) -> list[int]:
    """Return the columns that stay: a column that training never saw a value of is dropped."""
    if step.keep_empty_features:
        return list(range(len(step.statistics_)))
    return [i for i, fill in enumerate(step.statistics_) if fill is not None and fill == fill]


def _fill(table: Table, fills: list[Any], graph: Graph) -> Table:
    columns = list(table.columns)
    numeric = [i for i, column in enumerate(columns) if not column.is_text and column.may_miss]
    if numeric:
        filled = _fill_numbers(table.select(numeric), [float(fills[i]) for i in numeric], graph)
        for i, column in zip(numeric, filled.columns, strict=True):
            columns[i] = column
    for i, column in enumerate(columns):
        if column.is_text and column.may_miss:
            columns[i] = column.filled(str(fills[i]))
    return Table(tuple(columns))


def _fill_numbers(table: Table, fills: list[float], graph: Graph) -> Table:
    matrix = graph.matrix(table)
    filled = graph.node("Where", graph.node("IsNaN", matrix), graph.row(fills), matrix)
    return Table(tuple(replace(column, may_miss=False) for column in graph.like(filled, table).columns))


def _is_missing(column: Column, graph: Graph) -> str:
    single = Table((column,))
    if not column.is_text:
        return graph.node("IsNaN", graph.matrix(single))
    if column.fill is not None:
        raise NotCompilableError("a text that was filled in already is asked whether it is missing")
    return graph.is_word(single, [(0, "")])
