"""What puts steps together: pipelines, column transformers, unions, and wrappers around one estimator."""

from dataclasses import replace
from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.pipeline import FeatureUnion, Pipeline

from model.compiling.classes import prediction
from model.compiling.errors import NotCompilableError
from model.compiling.graph import Graph
from model.compiling.registry import Converter, convert, converts
from model.compiling.tables import Table, stack

METHODS = ("transform", "predict", "predict_proba", "decision_function")


def _is_identity(step: Any) -> bool:
    return step is None or (isinstance(step, str) and step == "passthrough")


def transformed(step: Any, table: Table, graph: Graph) -> Table:
    """Return what a step of a pipeline makes of a table; "passthrough" is the table."""
    return table if _is_identity(step) else convert(step, "transform", table, graph)


def _pipeline_converter(method: str) -> Converter:
    def compile_pipeline(step: Any, table: Table, graph: Graph) -> Table:
        for _, inner in step.steps[:-1]:
            table = transformed(inner, table, graph)
        last = step.steps[-1][1]
        if method == "predict":
            return prediction(last, table, graph)
        return (
            transformed(last, table, graph) if method == "transform" else convert(last, method, table, graph)
        )

    return compile_pipeline


def _delegate(attribute: str, method: str) -> Converter:
    def compile_inner(step: Any, table: Table, graph: Graph) -> Table:
        inner = getattr(step, attribute)
        return (
            prediction(inner, table, graph) if method == "predict" else convert(inner, method, table, graph)
        )

    return compile_inner


for _method in METHODS:
    converts(Pipeline, method=_method)(_pipeline_converter(_method))
    converts(GridSearchCV, RandomizedSearchCV, method=_method)(_delegate("best_estimator_", _method))
    converts(FrozenEstimator, method=_method)(_delegate("estimator", _method))
for _method in ("predict_proba", "decision_function"):
    converts(FixedThresholdClassifier, TunedThresholdClassifierCV, method=_method)(
        _delegate("estimator_", _method)
    )


@converts(ColumnTransformer)
def _column_transformer(step: Any, table: Table, graph: Graph) -> Table:
    parts = []
    for name, inner, _ in step.transformers_:
        positions = step._transformer_to_input_indices.get(name, [])
        if (isinstance(inner, str) and inner == "drop") or len(positions) == 0:
            continue
        part = transformed(inner, table.select(positions), graph)
        parts.append(_weighted(part, (step.transformer_weights or {}).get(name), graph))
    return replace(stack(parts), is_sparse=bool(step.sparse_output_))


@converts(FeatureUnion)
def _union(step: Any, table: Table, graph: Graph) -> Table:
    weights = step.transformer_weights or {}
    parts = [
        _weighted(transformed(inner, table, graph), weights.get(name), graph)
        for name, inner in step.transformer_list
        if not (isinstance(inner, str) and inner == "drop")
    ]
    return stack(parts)


def _weighted(table: Table, weight: float | None, graph: Graph) -> Table:
    if weight is None:
        return table
    if table.n_columns == 0:
        raise NotCompilableError("a weight on no columns")
    return graph.like(graph.node("Mul", graph.matrix(table), graph.constant([[weight]])), table)
