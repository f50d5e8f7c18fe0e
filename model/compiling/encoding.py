"""Encoders of categories: one-hot, ordinal, target.

What an encoder makes of each category, of an unseen one and of a missing one is asked of the fitted
encoder itself, column by column; the graph then holds the answers as flags and lookup tables. So infrequent
categories, dropped ones and all the settings for unknown ones need no code of their own.
"""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

from model.compiling.errors import NotCompilableError
from model.compiling.formulas import number
from model.compiling.graph import Graph
from model.compiling.registry import converts
from model.compiling.tables import Column, Table
from model.compiling.words import ML, Floats

Word = str | float

UNSEEN_TEXT = "\x00 a text that no training row has"
UNSEEN_NUMBER = -1.2345678901234567e300


@dataclass(frozen=True)
class Output:
    """One output column as a function of one input column: ``default`` but for some words.

    A missing number is the word NaN, a missing text is "".
    """

    source: int
    default: float
    exceptions: dict[Word, float]

    @property
    def is_flag(self) -> bool:
        """Whether it is 1 for a single word and else 0."""
        return self.default == 0.0 and list(self.exceptions.values()) == [1.0]

    @property
    def may_miss(self) -> bool:
        """Whether it can be NaN."""
        return bool(np.isnan([self.default, *self.exceptions.values()]).any())


@converts(OneHotEncoder, OrdinalEncoder, TargetEncoder)
def _encoder(step: Any, table: Table, graph: Graph) -> Table:
    outputs: list[Output] = []
    for source in range(table.n_columns):
        outputs.extend(_ask_column(step, table, source, graph))
    return _encode(outputs, table, graph)


# --- asking the encoder --------------------------------------------------------------------------------


def _ask_column(step: Any, table: Table, source: int, graph: Graph) -> Iterable[Output]:
    """Return the outputs that column ``source`` decides; rows on which the encoder raises are in doubt."""
    column = table.columns[source]
    words = list(_words(step.categories_[source], column.is_text))
    answers = _answers(step, table, source, words)
    unseen = _try_answer(step, table, source, UNSEEN_TEXT if column.is_text else UNSEEN_NUMBER)
    missing = _try_answer(step, table, source, _missing(column))
    if missing is not None:
        words.append(_missing(column))
        answers = sparse.vstack([answers, sparse.csr_matrix(missing)])
    if unseen is None:
        _doubt_unknown(column, words, graph)
        unseen = np.zeros(answers.shape[1])
    elif missing is None:
        raise NotCompilableError("it answers unseen categories but not missing ones")
    return _outputs(column, source, words, answers.tocsc(), unseen)


def _words(categories: Iterable[Any], is_text: bool) -> Iterable[Word]:
    for category in categories:
        if is_text and isinstance(category, str):
            yield category
        elif not is_text and category is not None and category == category:
            yield float(category)


def _missing(column: Column) -> Word:
    return "" if column.is_text else float("nan")


def _answers(step: Any, table: Table, source: int, words: Sequence[Word]) -> Any:
    usual = [categories[0] for categories in step.categories_]
    rows = {i: [usual[i]] * len(words) for i in range(table.n_columns)} | {source: list(words)}
    columns = [_as_column(rows[i], table.columns[i].is_text) for i in range(table.n_columns)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # handle_unknown="warn" says what is asked for here
        encoded = step.transform(_as_input(step, columns))
    if isinstance(encoded, pd.DataFrame):
        encoded = encoded.to_numpy()
    return sparse.csr_matrix(encoded, dtype=np.float64)[:, _owned(step, table, source, encoded.shape[1])]


def _as_column(values: Sequence[Any], is_text: bool) -> pd.Series:
    if is_text:
        return pd.Series([np.nan if value == "" else value for value in values], dtype=object)
    return pd.Series(values, dtype=np.float64)


def _as_input(step: Any, columns: Sequence[pd.Series]) -> Any:
    frame = pd.concat(columns, axis=1, ignore_index=True)
    if not hasattr(step, "feature_names_in_"):
        return frame.to_numpy()
    return frame.set_axis(step.feature_names_in_, axis=1)


def _owned(step: Any, table: Table, source: int, n_outputs: int) -> slice:
    widths = getattr(step, "_n_features_outs", None) or [n_outputs // table.n_columns] * table.n_columns
    start = sum(widths[:source])
    return slice(start, start + widths[source])


def _try_answer(step: Any, table: Table, source: int, word: Word) -> Floats | None:
    try:
        return np.asarray(_answers(step, table, source, [word]).toarray()[0], dtype=np.float64)
    except ValueError:  # scikit-learn's way to refuse an unknown category
        return None


def _doubt_unknown(column: Column, words: Sequence[Word], graph: Graph) -> None:
    known: dict[Word, float] = dict.fromkeys(words, 0.0)
    flag = _lookup([Output(0, 1.0, _with_fill(column, known, 1.0))], Table((column,)), graph)[0]
    graph.doubt(graph.node("Greater", graph.matrix(Table((flag,))), graph.constant([[0.5]])))


def _outputs(
    column: Column, source: int, words: Sequence[Word], answers: Any, unseen: Floats
) -> Iterable[Output]:
    """Read the answers (sparse, one row a word, by columns) as one output a column."""
    for position, default in enumerate(unseen):
        start, stop = answers.indptr[position : position + 2]
        values = dict(
            zip(answers.indices[start:stop].tolist(), answers.data[start:stop].tolist(), strict=True)
        )
        rows = values if default == 0 else range(len(words))
        known = {words[row]: value for row in rows if (value := values.get(row, 0.0)) != default}
        yield Output(source, float(default), _with_fill(column, known, float(default)))


def _with_fill(column: Column, known: dict[Word, float], default: float) -> dict[Word, float]:
    """Let a missing text count as the text that was filled in for it."""
    if column.fill is None:
        return known
    known = {word: value for word, value in known.items() if word != ""}
    value = known.get(column.fill, default)
    return known if value == default else known | {"": value}


# --- nodes ---------------------------------------------------------------------------------------------


def _encode(outputs: Sequence[Output], table: Table, graph: Graph) -> Table:
    columns: dict[int, Column] = {}
    for is_text in (True, False):
        for is_flag, make in ((True, _flags), (False, _lookup)):
            chosen = [
                position
                for position, output in enumerate(outputs)
                if output.is_flag == is_flag and table.columns[output.source].is_text == is_text
            ]
            if chosen:
                made = make([outputs[position] for position in chosen], table, graph)
                columns.update(zip(chosen, made, strict=True))
    return Table(tuple(columns[position] for position in range(len(outputs))))


def _flags(outputs: Sequence[Output], table: Table, graph: Graph) -> tuple[Column, ...]:
    words = [(output.source, next(iter(output.exceptions))) for output in outputs]
    if table.columns[outputs[0].source].is_text:
        flags = graph.is_word(table, [(source, str(word)) for source, word in words])
        return graph.table(number(graph, flags), len(words)).columns
    return _number_flags([(source, float(word)) for source, word in words], table, graph)


def _number_flags(words: Sequence[tuple[int, float]], table: Table, graph: Graph) -> tuple[Column, ...]:
    matrix = graph.matrix(table.select(source for source, _ in words))
    values = [word for _, word in words]
    flags = graph.node("Equal", matrix, graph.row(values))
    if np.isnan(values).any():
        wants_nan = graph.constant(np.isnan(values).reshape(1, -1), np.bool_)
        flags = graph.node("Or", flags, graph.node("And", graph.node("IsNaN", matrix), wants_nan))
    return graph.table(number(graph, flags), len(words)).columns


def _lookup(outputs: Sequence[Output], table: Table, graph: Graph) -> tuple[Column, ...]:
    if table.columns[outputs[0].source].is_text:
        values = [{str(word): value for word, value in output.exceptions.items()} for output in outputs]
        sources = table.select(output.source for output in outputs)
        found = graph.lookup(sources, values, [output.default for output in outputs])
        columns = graph.table(found, len(outputs)).columns
    else:
        columns = tuple(_lookup_number(output, table, graph) for output in outputs)
    return tuple(
        Column(column.tensor, column.index, may_miss=output.may_miss)
        for column, output in zip(columns, outputs, strict=True)
    )


def _lookup_number(output: Output, table: Table, graph: Graph) -> Column:
    """Look a number up by its very bits, as scikit-learn does; a blurred one may miss its category."""
    column = table.columns[output.source]
    if column.blur:
        raise NotCompilableError("it takes computed numbers for categories")
    found = graph.node(
        "LabelEncoder",
        graph.matrix(Table((column,))),
        domain=ML,
        keys_tensor=np.asarray(list(output.exceptions) or [np.nan], dtype=np.float64),
        values_tensor=np.asarray(list(output.exceptions.values()) or [output.default], dtype=np.float64),
        default_tensor=np.asarray([output.default]),
    )
    return graph.table(found, 1).columns[0]
