"""Multi-layer perceptrons."""

from typing import Any

from sklearn.neural_network import MLPClassifier, MLPRegressor

from model.compiling.errors import NotCompilableError
from model.compiling.formulas import linear, with_complement
from model.compiling.graph import Graph
from model.compiling.registry import converts
from model.compiling.tables import Table

ACTIVATIONS = {"tanh": "Tanh", "logistic": "Sigmoid", "relu": "Relu", "exp": "Exp"}


@converts(MLPRegressor, method="predict")
def _regressor(step: Any, table: Table, graph: Graph) -> Table:
    return graph.table(_forward(step, table, graph), step.n_outputs_, blur=1.0)


@converts(MLPClassifier, method="predict_proba")
def _classifier(step: Any, table: Table, graph: Graph) -> Table:
    raw = _forward(step, table, graph)
    shares = with_complement(graph, raw) if step.n_outputs_ == 1 else raw
    return graph.table(shares, len(step.classes_), blur=1.0)


def _forward(step: Any, table: Table, graph: Graph) -> str:
    x = graph.matrix(table)
    layers = list(zip(step.coefs_, step.intercepts_, strict=True))
    for position, (weights, intercept) in enumerate(layers):
        is_last = position == len(layers) - 1
        x = _activated(
            graph, linear(graph, x, weights, intercept), step.out_activation_ if is_last else step.activation
        )
    return x


def _activated(graph: Graph, x: str, activation: str) -> str:
    if activation == "identity":
        return x
    if activation == "softmax":
        return graph.node("Softmax", x, axis=1)
    if activation not in ACTIVATIONS:
        raise NotCompilableError(f"activation {activation!r}")
    return graph.node(ACTIVATIONS[activation], x)
