"""Transformers of the bundled models that relate numbers of one row: dates, tissue, families.

As those in ``transformers``: they name their outputs, missing stays missing, and a graph has the same bits.
"""

from collections.abc import Iterable
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import OneToOneFeatureMixin

from model.preprocessing.transformers import Floats, Numeric, column_names

if TYPE_CHECKING:  # compiling imports onnx, which training can do without
    from model.compiling.graph import Graph
    from model.compiling.tables import Table

CENTURY = 36_525.0  # days


class LostCentury(OneToOneFeatureMixin, Numeric):  # type: ignore[misc]  # scikit-learn ships no types
    """Dates with the right century, where two digits of a year were read as those of a year to come.

    Parameters
    ----------
    newest : float, default=21915
        Latest possible day, in days since 1970-01-01 (here 2030-01-01); later ones go back by 100 years.
    """

    def __init__(self, newest: float = 21_915.0) -> None:
        self.newest = newest

    def transform(self, X: ArrayLike) -> Floats:
        """Return days of the same shape as ``X``."""
        days = self._checked(X)
        return np.where(days > self.newest, days - CENTURY, days)

    def to_onnx(self, table: "Table", graph: "Graph") -> "Table":
        """Write the same comparison."""
        days = graph.matrix(table)
        is_late = graph.node("Greater", days, graph.row([self.newest]))
        earlier = graph.node("Sub", days, graph.row([CENTURY]))
        return graph.like(graph.node("Where", is_late, earlier, days), table)


class FirstPresent(Numeric):
    """The first of several columns that has a value, such as the mycorrhiza that a species forms at all."""

    def transform(self, X: ArrayLike) -> Floats:
        """Return one column, shape (n_rows, 1)."""
        table = self._checked(X)
        found = table[:, -1]
        for column in table.T[-2::-1]:
            found = np.where(np.isnan(column), found, column)
        return np.asarray(found[:, None], dtype=np.float64)

    def get_feature_names_out(self, input_features: Iterable[str] | None = None) -> NDArray[np.object_]:
        """Return a name such as ``first_of_EMF_AMF``."""
        return np.array([f"first_of_{'_'.join(column_names(self, input_features))}"], dtype=object)

    def to_onnx(self, table: "Table", graph: "Graph") -> "Table":
        """Write the same choices."""
        columns = [graph.matrix(table.select([i])) for i in range(table.n_columns)]
        found = columns[-1]
        for column in columns[-2::-1]:
            found = graph.node("Where", graph.node("IsNaN", column), found, column)
        return graph.table(found, 1, may_miss=all(column.may_miss for column in table.columns))


class Ratios(Numeric):
    """Each column divided by each that follows it; missing where that is no finite number or the divisor not
    above 0.
    """

    def transform(self, X: ArrayLike) -> Floats:
        """Return a column for each pair, shape (n_rows, n_columns * (n_columns - 1) / 2)."""
        table = self._checked(X)
        above, below = (table[:, side] for side in self._sides(table.shape[1]))
        with np.errstate(over="ignore"):
            ratios = above / np.where(below > 0, below, np.nan)
        return np.where(np.isinf(ratios), np.nan, ratios)

    def get_feature_names_out(self, input_features: Iterable[str] | None = None) -> NDArray[np.object_]:
        """Return names such as ``Lignin_by_NSC``."""
        pairs = combinations(column_names(self, input_features), 2)
        return np.array([f"{above}_by_{below}" for above, below in pairs], dtype=object)

    def to_onnx(self, table: "Table", graph: "Graph") -> "Table":
        """Write the same quotients."""
        above, below = (graph.matrix(table.select(side)) for side in self._sides(table.n_columns))
        is_usable = graph.node("Greater", below, graph.constant([[0.0]]))
        nothing = graph.constant([[np.nan]])
        ratios = graph.node("Div", above, graph.node("Where", is_usable, below, nothing))
        finite = graph.node("Where", graph.node("IsInf", ratios), nothing, ratios)
        n_pairs = table.n_columns * (table.n_columns - 1) // 2
        return graph.table(finite, n_pairs, blur=table.blur, may_miss=True)

    @staticmethod
    def _sides(n_columns: int) -> list[list[int]]:
        return [list(side) for side in zip(*combinations(range(n_columns), 2), strict=True)]


class Household(Numeric):
    """How many travel together (with oneself), and what each of them paid.

    Takes three columns: siblings and spouses, parents and children, fare.
    """

    def transform(self, X: ArrayLike) -> Floats:
        """Return size and fare a head, shape (n_rows, 2)."""
        relatives, family, fare = self._checked(X).T
        size = relatives + family + 1.0
        return np.column_stack([size, fare / np.maximum(size, 1.0)])

    def get_feature_names_out(self, input_features: Iterable[str] | None = None) -> NDArray[np.object_]:
        """Return ``size`` and ``fare_each``."""
        return np.array(["size", "fare_each"], dtype=object)

    def to_onnx(self, table: "Table", graph: "Graph") -> "Table":
        """Write the same sum and quotient."""
        relatives, family, fare = (graph.matrix(table.select([i])) for i in range(3))
        one = graph.constant([[1.0]])
        size = graph.node("Add", graph.node("Add", relatives, family), one)
        each = graph.node("Div", fare, graph.node("Max", size, one))
        both = graph.node("Concat", size, each, axis=1)
        return graph.table(both, 2, may_miss=bool(table.missing()))
