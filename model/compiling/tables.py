"""What flows between the steps of a pipeline while it is compiled: a table of symbolic columns.

A column names a place in a tensor of the graph, it has no values. Selecting, dropping, reordering and
stacking columns, and filling missing texts, therefore cost no node at all; a step that computes something
asks the graph for a matrix of the columns it needs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    tensor : str
        Name of a tensor of shape (n_rows, n_columns).
    index : int
        Position of the column in that tensor.
    is_text : bool
        Strings, "" standing for missing; otherwise float64, NaN standing for missing.
    may_miss : bool
        A value may be missing.
    blur : float
        0 where the values have the very bits that scikit-learn computes; else a size of the numbers whose
        rounding may differ. Steps with jumps (trees, bins) abstain within that rounding of a jump.
    fill : str or None
        Text that a missing value stands for, if one was filled in.
    """

    tensor: str
    index: int
    is_text: bool = False
    may_miss: bool = False
    blur: float = 0.0
    fill: str | None = None

    def filled(self, text: str) -> "Column":
        """Return this text column with ``text`` where it is missing."""
        if self.fill is not None:
            return self
        return replace(self, fill=text, may_miss=False)


@dataclass(frozen=True, slots=True)
class Table:
    """Columns in the order in which scikit-learn has them at this place of the pipeline.

    ``is_sparse`` tells whether scikit-learn has them as a sparse matrix, for which it may take sums and
    products in another order.
    """

    columns: tuple[Column, ...]
    is_sparse: bool = False

    @property
    def n_columns(self) -> int:
        """How many columns there are."""
        return len(self.columns)

    @property
    def blur(self) -> float:
        """The largest blur of a column; 0 where all have scikit-learn's bits."""
        return max((column.blur for column in self.columns), default=0.0)

    @property
    def has_text(self) -> bool:
        """Whether any column holds strings."""
        return any(column.is_text for column in self.columns)

    def select(self, indexes: Iterable[int]) -> "Table":
        """Return the columns at ``indexes``, in that order."""
        return Table(tuple(self.columns[int(index)] for index in indexes), self.is_sparse)

    def missing(self) -> list[int]:
        """Return the positions of columns that may miss a value."""
        return [index for index, column in enumerate(self.columns) if column.may_miss]


def stack(tables: Sequence[Table]) -> Table:
    """Put tables side by side."""
    return Table(tuple(column for table in tables for column in table.columns))
