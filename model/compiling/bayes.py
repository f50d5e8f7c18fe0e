"""Naive Bayes."""

from typing import Any

import numpy as np
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB

from model.compiling.formulas import linear, number, row_max, row_sum, softmax
from model.compiling.graph import Graph
from model.compiling.piecewise import doubt_near
from model.compiling.registry import converts
from model.compiling.tables import Table


@converts(GaussianNB, method="predict_proba")
def _gaussian(step: Any, table: Table, graph: Graph) -> Table:
    matrix = graph.matrix(table)
    parts = []
    for prior, mean, variance in zip(step.class_prior_, step.theta_, step.var_, strict=True):
        gap = graph.node("Sub", matrix, graph.row(mean))
        squares = graph.node("Div", graph.node("Mul", gap, gap), graph.row(variance))
        constant = np.log(prior) - 0.5 * np.log(2.0 * np.pi * variance).sum()
        parts.append(linear(graph, row_sum(graph, squares), [[-0.5]], [constant]))
    return _posterior(graph.node("Concat", *parts, axis=1), len(parts), graph)


@converts(MultinomialNB, method="predict_proba")
def _multinomial(step: Any, table: Table, graph: Graph) -> Table:
    raw = linear(graph, graph.matrix(table), step.feature_log_prob_.T, step.class_log_prior_)
    return _posterior(raw, len(step.classes_), graph)


@converts(ComplementNB, method="predict_proba")
def _complement(step: Any, table: Table, graph: Graph) -> Table:
    raw = linear(graph, graph.matrix(table), step.feature_log_prob_.T, np.zeros(len(step.classes_)))
    return _posterior(raw, len(step.classes_), graph)


@converts(BernoulliNB, method="predict_proba")
def _bernoulli(step: Any, table: Table, graph: Graph) -> Table:
    matrix = graph.matrix(table)
    if step.binarize is not None:
        doubt_near(graph, table, [np.array([float(step.binarize)])] * table.n_columns)
        matrix = number(graph, graph.node("Greater", matrix, graph.constant([[float(step.binarize)]])))
    absent = np.log(1.0 - np.exp(step.feature_log_prob_))
    weights = (step.feature_log_prob_ - absent).T
    raw = linear(graph, matrix, weights, step.class_log_prior_ + absent.sum(axis=1))
    return _posterior(raw, len(step.classes_), graph)


# Differences of logarithms larger than that carry enough rounding to show in a probability.
LARGEST_LOGARITHM = 3e8
CERTAIN = 1.0 - 1e-12


def _posterior(joint: str, n_classes: int, graph: Graph) -> Table:
    shares = softmax(graph, joint)
    size = row_max(graph, graph.node("Abs", joint))
    is_large = graph.node("Greater", size, graph.constant([[LARGEST_LOGARITHM]]))
    is_open = graph.node("Less", row_max(graph, shares), graph.constant([[CERTAIN]]))
    graph.doubt(graph.node("And", is_large, is_open))
    return graph.table(shares, n_classes, blur=1.0)
