"""Steps that choose columns or project them: selectors, principal components, discriminants."""

from typing import Any

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.decomposition import PCA, FactorAnalysis, FastICA, IncrementalPCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_selection import (
    RFE,
    RFECV,
    GenericUnivariateSelect,
    SelectFdr,
    SelectFpr,
    SelectFromModel,
    SelectFwe,
    SelectKBest,
    SelectPercentile,
    SequentialFeatureSelector,
    VarianceThreshold,
)
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from model.compiling.distances import squared_euclidean
from model.compiling.formulas import product
from model.compiling.graph import Graph
from model.compiling.registry import converts
from model.compiling.tables import Table
from model.compiling.words import Floats

SELECTORS = (
    RFE, RFECV, GenericUnivariateSelect, SelectFdr, SelectFpr, SelectFromModel, SelectFwe, SelectKBest,
    SelectPercentile, SequentialFeatureSelector, VarianceThreshold,
)  # fmt: skip


@converts(*SELECTORS)
def _selector(step: Any, table: Table, graph: Graph) -> Table:
    return table.select(step.get_support(indices=True))


@converts(PCA, IncrementalPCA)
def _principal_components(step: Any, table: Table, graph: Graph) -> Table:
    weights = np.asarray(step.components_, dtype=np.float64).T
    offset = np.asarray(step.mean_, dtype=np.float64).reshape(1, -1) @ weights
    if step.whiten:
        scale = np.sqrt(np.maximum(step.explained_variance_, np.finfo(np.float64).eps))
        weights, offset = weights / scale, offset / scale
    return _projected(table, graph, weights, -offset)


@converts(TruncatedSVD, GaussianRandomProjection, SparseRandomProjection)
def _projection(step: Any, table: Table, graph: Graph) -> Table:
    components = step.components_
    dense = components.toarray() if hasattr(components, "toarray") else components
    return _projected(table, graph, np.asarray(dense, dtype=np.float64).T, np.zeros(len(dense)))


@converts(FastICA)
def _independent_components(step: Any, table: Table, graph: Graph) -> Table:
    weights = np.asarray(step.components_, dtype=np.float64).T
    mean = np.asarray(step.mean_, dtype=np.float64) if step.whiten else np.zeros(len(weights))
    return _projected(table, graph, weights, -(mean @ weights))


@converts(FactorAnalysis)
def _factors(step: Any, table: Table, graph: Graph) -> Table:
    loading = step.components_
    scaled = loading / step.noise_variance_
    weights = np.linalg.solve(np.eye(len(loading)) + scaled @ loading.T, scaled).T
    return _projected(table, graph, weights, -(step.mean_ @ weights))


@converts(LinearDiscriminantAnalysis)
def _discriminants(step: Any, table: Table, graph: Graph) -> Table:
    weights = np.asarray(step.scalings_, dtype=np.float64)[:, : step._max_components]
    mean = step.xbar_ if step.solver == "svd" else np.zeros(len(weights))
    return _projected(table, graph, weights, -(mean @ weights))


@converts(KMeans, MiniBatchKMeans)
def _distances_to_centers(step: Any, table: Table, graph: Graph) -> Table:
    squares = squared_euclidean(graph, graph.matrix(table), np.asarray(step.cluster_centers_))
    return graph.table(graph.node("Sqrt", squares), len(step.cluster_centers_), blur=1.0)


def _projected(table: Table, graph: Graph, weights: Floats, offset: Floats) -> Table:
    blur = 1.0 + float(np.abs(offset).max(initial=0.0))
    return graph.table(product(graph, table, weights, offset), weights.shape[1], blur=blur)
