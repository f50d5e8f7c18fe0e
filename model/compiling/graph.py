"""An ONNX graph under construction, in double precision.

Knows ONNX and nothing of scikit-learn. Values are names of tensors; each call adds a node unless the same
one is there already. ONNX Runtime lacks many operators for doubles (Erf, Tan, OneHot, Softplus, Imputer),
so only those that it has are used here.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from model.compiling.errors import NotCompilableError
from model.compiling.tables import Column, Table
from model.compiling.words import ML, Dictionary, make_node, number_of_code, offsets

OPSET = 21
ML_OPSET = 5  # the first with TreeEnsemble, whose thresholds and sums are doubles
IR_VERSION = 10

# A matrix between two nodes holds at most so many numbers (2 MB, what a core's cache holds); longer batches
# are cut.
LARGEST_MATRIX = 1 << 18
FEWEST_ROWS, MOST_ROWS = 16, 1 << 14


class Graph:
    """Nodes, constants and the doubts that end in one model.

    Parameters
    ----------
    n_numbers : int
        Columns of the input ``numbers``, float64 of shape (n_rows, n_numbers).
    n_texts : int
        Columns of the input ``texts``, strings of shape (n_rows, n_texts), "" where missing.
    """

    def __init__(self, n_numbers: int, n_texts: int) -> None:
        self._steps: list[onnx.NodeProto | Dictionary] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._known: dict[Any, str] = {}
        self._dictionaries: dict[str, Dictionary] = {}
        self._widths: dict[str, int] = {"numbers": n_numbers, "texts": n_texts}
        self._late_constants: dict[str, Callable[[], NDArray[Any]]] = {}
        self._doubts: list[str] = []
        self._n_names = 0
        self.widest = max(n_numbers, n_texts, 1)

    # --- nodes and constants -------------------------------------------------------------------------

    def node(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output, and return the output's name; an equal node is reused."""
        key = _key(op, inputs, attributes)
        if key is not None and key in self._known:
            return self._known[key]
        output = self._new_name(op)
        self._steps.append(make_node(op, inputs, [output], domain, attributes))
        if key is not None:
            self._known[key] = output
        return output

    def pair(self, op: str, *inputs: str, **attributes: Any) -> tuple[str, str]:
        """Add a node with two outputs."""
        outputs = (self._new_name(op), self._new_name(op))
        self._steps.append(make_node(op, inputs, outputs, "", attributes))
        return outputs

    def constant(self, values: ArrayLike, dtype: Any = np.float64) -> str:
        """Return the name of a constant tensor."""
        array = np.asarray(values, dtype=dtype)
        key = (
            array.tobytes() if array.dtype != object else tuple(array.ravel()),
            array.shape,
            array.dtype.str,
        )
        if key not in self._known:
            name = self._new_name("constant")
            self._constants[name] = numpy_helper.from_array(
                np.ascontiguousarray(array).reshape(array.shape), name
            )
            self._known[key] = name
        return self._known[key]

    def row(self, values: ArrayLike) -> str:
        """Return a constant of shape (1, n_values), to meet every row of a matrix."""
        return self.constant(np.asarray(values, dtype=np.float64).reshape(1, -1))

    def _new_name(self, op: str) -> str:
        self._n_names += 1
        return f"{op.lower()}_{self._n_names}"

    # --- tables and matrices -------------------------------------------------------------------------

    def table(self, tensor: str, n_columns: int, *, blur: float = 0.0, may_miss: bool = False) -> Table:
        """Return all columns of a matrix of float64 as a table."""
        self._widths[tensor] = n_columns
        self.widest = max(self.widest, n_columns)
        return Table(tuple(Column(tensor, i, may_miss=may_miss, blur=blur) for i in range(n_columns)))

    def like(self, tensor: str, table: Table, *, blur: float | None = None) -> Table:
        """Return a matrix computed column by column from ``table`` as a table."""
        self._widths[tensor] = table.n_columns
        columns = [
            Column(tensor, i, may_miss=old.may_miss, blur=old.blur if blur is None else max(blur, old.blur))
            for i, old in enumerate(table.columns)
        ]
        return Table(tuple(columns), table.is_sparse)

    def matrix(self, table: Table) -> str:
        """Return a tensor of shape (n_rows, n_columns) with the numbers of a table."""
        if table.has_text:
            raise NotCompilableError("text reaches a step that computes with numbers")
        return self._gather(table)

    def widen(self, n_columns: int) -> None:
        """Remember that some matrix has so many columns, so that long batches are cut."""
        self.widest = max(self.widest, n_columns)

    def ones(self) -> Table:
        """Return one column of ones."""
        name = "numbers" if self._widths["numbers"] else "texts"
        n_rows = self.node("Shape", name, start=0, end=1)
        shape = self.node("Concat", n_rows, self.constant([1], np.int64), axis=0)
        return self.table(self.node("Expand", self.constant([[1.0]]), shape), 1)

    def _gather(self, table: Table) -> str:
        runs = _runs(table)
        if not runs:
            raise NotCompilableError("a step gets no columns")
        self.widest = max(self.widest, table.n_columns)
        tensors = list(dict.fromkeys(tensor for tensor, _ in runs))
        if len(runs) > len(tensors) + 1:
            return self._gather_mixed(table, tensors)
        parts = [self.take(tensor, indexes) for tensor, indexes in runs]
        return parts[0] if len(parts) == 1 else self.node("Concat", *parts, axis=1)

    def _gather_mixed(self, table: Table, tensors: Sequence[str]) -> str:
        starts, width = {}, 0
        for tensor in tensors:
            starts[tensor] = width
            width += self._widths[tensor]
        whole = self.node("Concat", *tensors, axis=1)
        self._widths[whole] = width
        return self.take(whole, [starts[column.tensor] + column.index for column in table.columns])

    def loose_matrix(self, table: Table, *, is_whole: bool = False) -> tuple[str, list[int]]:
        """Return the numbers of a table in whatever order is cheapest, and where each column went.

        For steps that can permute their own weights or feature numbers.

        Parameters
        ----------
        table : Table
        is_whole : bool, default=False
            Columns that the table does not have may come along, missing values in them too.

        Returns
        -------
        tensor : str
        places : list of int
            Position in the tensor of each column of the table.
        """
        used: dict[str, list[int]] = {}
        for tensor, index in sorted({(column.tensor, column.index) for column in table.columns}):
            used.setdefault(tensor, []).append(index)
        if is_whole:
            used = {tensor: list(range(self._widths[tensor])) for tensor in used}
        order = [(tensor, index) for tensor, indexes in used.items() for index in indexes]
        place = {key: position for position, key in enumerate(order)}
        sample = Table(tuple(Column(tensor, index, is_text=table.has_text) for tensor, index in order))
        return self.matrix(sample), [place[column.tensor, column.index] for column in table.columns]

    def take(self, tensor: str, indexes: Sequence[int]) -> str:
        """Return the columns of a matrix at ``indexes``; the matrix itself if these are all of them."""
        if list(indexes) == list(range(self._widths.get(tensor, -1))):
            return tensor
        return self.node("Gather", tensor, self.constant(indexes, np.int64), axis=1)

    def texts(self, table: Table) -> str:
        """Return a string tensor of shape (n_rows, n_columns), missing ones filled where they were filled."""
        whole = self._gather(table)
        fills = [column.fill or "" for column in table.columns]
        if not any(fills):
            return whole
        is_missing = self.node("Equal", whole, self.constant([[""]], object))
        return self.node("Where", is_missing, self.constant([fills], object), whole)

    # --- texts ---------------------------------------------------------------------------------------

    def is_word(self, table: Table, words: Sequence[tuple[int, str]]) -> str:
        """Compare texts with words.

        Parameters
        ----------
        table : Table
            Text columns.
        words : sequence of (int, str)
            Position of a column and a word; "" stands for missing.

        Returns
        -------
        flags : str
            Boolean tensor of shape (n_rows, n_words).
        """
        wanted = table.select(index for index, _ in words)
        codes = [
            self._dictionary(column.tensor).code(word)
            for column, (_, word) in zip(wanted.columns, words, strict=True)
        ]
        return self.node("Equal", self._codes(wanted), self.constant([codes], np.int64))

    def lookup(self, table: Table, values: Sequence[dict[str, float]], default: Sequence[float]) -> str:
        """Turn texts into numbers, each column by its own dictionary.

        Parameters
        ----------
        table : Table
            Text columns.
        values : sequence of dict
            For each column the number of each word; "" is the word for missing.
        default : sequence of float
            For each column the number of any other word.

        Returns
        -------
        numbers : str
            float64 tensor of the table's shape.
        """
        dictionaries = [self._dictionary(column.tensor) for column in table.columns]
        for dictionary, known in zip(dictionaries, values, strict=True):
            dictionary.learn(known)
        codes = self._codes(table)
        # Words that other steps add later need room too, so these constants are made at the end.
        if table.n_columns > 1:
            codes = self.node("Add", codes, self._late(lambda: offsets(dictionaries)))
        return self.node("Gather", self._late(lambda: number_of_code(dictionaries, values, default)), codes)

    def _codes(self, table: Table) -> str:
        """Return int64 codes; 0 stands for a text that no step knows."""
        parts = [self.take(self._dictionary(tensor).output, indexes) for tensor, indexes in _runs(table)]
        return parts[0] if len(parts) == 1 else self.node("Concat", *parts, axis=1)

    def _dictionary(self, tensor: str) -> "Dictionary":
        if tensor not in self._dictionaries:
            dictionary = Dictionary(tensor, self._new_name("codes"))
            self._dictionaries[tensor] = dictionary
            self._widths[dictionary.output] = self._widths[tensor]
            self._steps.append(dictionary)
        return self._dictionaries[tensor]

    def _late(self, make: Callable[[], NDArray[Any]]) -> str:
        name = self._new_name("constant")
        self._late_constants[name] = make
        return name

    # --- doubts --------------------------------------------------------------------------------------

    def doubt(self, flags: str) -> None:
        """Abstain (answer NaN) in rows where the boolean matrix ``flags`` has a True."""
        self._doubts.append(self.node("Cast", flags, to=TensorProto.DOUBLE))

    def refuse_missing(self, table: Table) -> None:
        """Abstain in rows with a missing value, as scikit-learn raises there."""
        missing = table.missing()
        if missing:
            self.doubt(self.node("IsNaN", self._gather(table.select(missing))))

    @property
    def has_doubts(self) -> bool:
        """Whether the graph may abstain in a row."""
        return bool(self._doubts)

    def _unless_in_doubt(self, scores: str) -> str:
        if not self._doubts:
            return scores
        doubts = [*dict.fromkeys(self._doubts)]
        flags = doubts[0] if len(doubts) == 1 else self.node("Concat", *doubts, axis=1)
        largest = self.node("ReduceMax", flags, self.constant([1], np.int64), keepdims=1)
        is_certain = self.node("Equal", largest, self.constant([[0.0]]))
        return self.node("Where", is_certain, scores, self.constant([[np.nan]]))

    # --- the end -------------------------------------------------------------------------------------

    def finish(self, scores: str, n_scores: int, notes: dict[str, str]) -> bytes:
        """Return the model's bytes.

        Parameters
        ----------
        scores : str
            Matrix of shape (n_rows, n_scores).
        n_scores : int
            0 for a single value a row (output ``values``), else classes (output ``probabilities``).
        notes : dict
            Stored as metadata, with ``rows_at_once``: batches longer than that are to be cut.
        """
        output = self._output(self._unless_in_doubt(scores), n_scores)
        nodes = [step.node() if isinstance(step, Dictionary) else step for step in self._steps]
        late = [numpy_helper.from_array(make(), name) for name, make in self._late_constants.items()]
        constants = [*self._constants.values(), *late]
        graph = helper.make_graph(nodes, "pipeline", self._inputs(nodes), [output], constants)
        model = helper.make_model(
            graph,
            producer_name="vigia",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(ML, ML_OPSET)],
        )
        rows = max(FEWEST_ROWS, min(MOST_ROWS, LARGEST_MATRIX // self.widest))
        helper.set_model_props(model, {"rows_at_once": str(rows), **notes})
        data: bytes = model.SerializeToString()
        return data

    def _output(self, scores: str, n_scores: int) -> onnx.ValueInfoProto:
        if n_scores:
            self._rename(scores, "probabilities")
            return helper.make_tensor_value_info("probabilities", TensorProto.DOUBLE, [None, n_scores])
        self._steps.append(helper.make_node("Reshape", [scores, self.constant([-1], np.int64)], ["values"]))
        return helper.make_tensor_value_info("values", TensorProto.DOUBLE, [None])

    def _rename(self, old: str, new: str) -> None:
        """Call a tensor by another name, which saves the node that would copy it."""
        for step in self._steps:
            if isinstance(step, onnx.NodeProto):
                step.input[:] = [new if name == old else name for name in step.input]
                step.output[:] = [new if name == old else name for name in step.output]

    def _inputs(self, nodes: Sequence[onnx.NodeProto]) -> list[onnx.ValueInfoProto]:
        used = {name for node in nodes for name in node.input}
        kinds = {"numbers": TensorProto.DOUBLE, "texts": TensorProto.STRING}
        return [
            helper.make_tensor_value_info(name, kind, [None, self._widths[name]])
            for name, kind in kinds.items()
            if name in used
        ]


def _key(op: str, inputs: Sequence[str], attributes: dict[str, Any]) -> Any:
    if any(isinstance(value, np.ndarray | list) for value in attributes.values()):
        return None
    return (op, tuple(inputs), tuple(sorted(attributes.items())))


def _runs(table: Table) -> list[tuple[str, list[int]]]:
    """Cut a table into stretches of columns of the same tensor."""
    runs: list[tuple[str, list[int]]] = []
    for column in table.columns:
        if not runs or runs[-1][0] != column.tensor:
            runs.append((column.tensor, []))
        runs[-1][1].append(column.index)
    return runs
