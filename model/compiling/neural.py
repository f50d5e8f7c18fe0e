"""Multi-layer perceptrons."""

from typing import Any

from sklearn.neural_network import MLPClassifier, MLPRegressor

from model.compiling.errors import NotCompilableError
from model.compiling.formulas import linear, product, with_complement
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
    activations = [step.activation] * (len(step.coefs_) - 1) + [step.out_activation_]
    x = product(graph, table, step.coefs_[0], step.intercepts_[0])
    x = _activated(graph, x, activations[0])
    for weights, intercept, activation in zip(
        step.coefs_[1:], step.intercepts_[1:], activations[1:], strict=True
    ):
        x = _activated(graph, linear(graph, x, weights, intercept), activation)
    return x


def _activated(graph: Graph, x: str, activation: str) -> str:
    if activation == "identity":
        return x
    if activation == "softmax":
        return graph.node("Softmax", x, axis=1)
    if activation not in ACTIVATIONS:
        raise NotCompilableError(f"activation {activation!r}")
    return graph.node(ACTIVATIONS[activation], x)
