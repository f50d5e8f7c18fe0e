"""Fitted scikit-learn pipelines as ONNX graphs that answer the same, in double precision.

Heavy, and used at training only; ``model.predictor`` runs the result with ONNX Runtime alone. The graphs are
made here, node by node: a general converter would write float32 trees, operators that ONNX Runtime has no
double kernel for, and one input a column. Wherever scikit-learn's own bits can be had (scalers, encoders,
trees), they are; where they cannot (sums of products, logarithms) and a later step jumps, the graph abstains
next to the jump and the pipeline itself answers that row. What has no exact counterpart raises
``NotCompilableError`` and runs as scikit-learn.

A transformer of your own
-------------------------
Give it a method ``to_onnx(table, graph)``. It gets the symbolic columns that would reach ``transform`` and
returns those that would leave it::

    class Doubled(TransformerMixin, BaseEstimator):
        def transform(self, X):
            return np.asarray(X) * 2.0

        def to_onnx(self, table, graph):
            twice = graph.node("Mul", graph.matrix(table), graph.constant([[2.0]]))
            return graph.like(twice, table)

``graph.matrix`` gives the numbers of a table as one tensor of shape (n_rows, n_columns), ``graph.texts`` its
strings; ``graph.node`` adds an ONNX operator of opset 21; ``graph.like`` and ``graph.table`` turn a tensor
into columns again, with ``blur=1.0`` where the formula may round differently from numpy's. A class that
cannot be changed, a predictor, or the function of a ``FunctionTransformer`` is registered instead::

    @converts(TheirTransformer)
    def _theirs(step, table, graph): ...

    @converts(TheirClassifier, method="predict_proba")
    def _their_classifier(step, table, graph): ...

A mistake in either is found by the replay of golden rows, and the pipeline serves instead.
"""

from model.compiling import (  # noqa: F401  importing them registers their converters
    bayes,
    boosting,
    calibrating,
    composing,
    encoding,
    expanding,
    forests,
    functions,
    imputing,
    kernels,
    linear,
    neighbors,
    neural,
    projecting,
    reshaping,
    scaling,
    targets,
    voting,
)
from model.compiling.adding import additive_of
from model.compiling.compilation import compile_pipeline
from model.compiling.errors import NotCompilableError
from model.compiling.graph import Graph
from model.compiling.registry import convert, converts
from model.compiling.tables import Column, Table

__all__ = [
    "Column",
    "Graph",
    "NotCompilableError",
    "Table",
    "additive_of",
    "compile_pipeline",
    "convert",
    "converts",
]
