"""Encoders, hooks for one's own steps, and what is said of a pipeline that cannot be compiled."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    TargetEncoder,
)

from model.compiling import Graph, NotCompilableError, Table, compile_pipeline, converts
from model.compiling.compilation import build
from model.compiling.golden_rows import make_golden
from model.fallback import SklearnPredictor
from model.golden import Golden
from model.predictor import CompiledPredictor, Floats


class Doubled(TransformerMixin, BaseEstimator):
    """A user's own transformer, with a graph of its own."""

    def fit(self, X: Any, y: Any = None) -> "Doubled":
        self.n_features_in_ = np.shape(X)[1]
        return self

    def transform(self, X: Any) -> Any:
        return np.asarray(X) * 2.0

    def to_onnx(self, table: Table, graph: Graph) -> Table:
        return graph.like(graph.node("Mul", graph.matrix(table), graph.constant([[2.0]])), table)


class Wrong(Doubled):
    """Its graph does something else than its transform."""

    def to_onnx(self, table: Table, graph: Graph) -> Table:
        return graph.like(graph.node("Mul", graph.matrix(table), graph.constant([[2.1]])), table)


class Broken(Doubled):
    """Its graph cannot even be made."""

    def to_onnx(self, table: Table, graph: Graph) -> Table:
        raise KeyError("oops")


class Silent(TransformerMixin, BaseEstimator):
    """A user's own transformer without a graph."""

    def fit(self, X: Any, y: Any = None) -> "Silent":
        self.n_features_in_ = np.shape(X)[1]
        return self

    def transform(self, X: Any) -> Any:
        return np.asarray(X)


def halved(rows: Any) -> Any:
    return rows / 2.0


@converts(halved)
def _halved(step: Any, table: Table, graph: Graph) -> Table:
    return graph.like(graph.node("Div", graph.matrix(table), graph.constant([[2.0]])), table)


FRAME = pd.DataFrame({"x": np.linspace(-2.0, 3.0, 40), "z": np.arange(40.0) % 7})


def linear(*steps: Any) -> Any:
    return make_pipeline(*steps, LinearRegression()).fit(FRAME, FRAME["x"] * 3 + FRAME["z"])


def compiled(pipeline: Any) -> bytes:
    return compile_pipeline(pipeline, ["x", "z"], [], make_golden(pipeline, FRAME, []))


def encoded(encoder: Any, words: list[str], probes: list[str], y: Any = None) -> tuple[Floats, Floats]:
    """Return what both paths make of the probes, by a linear model that tells all columns apart."""
    frame = pd.DataFrame({"t": pd.Series([np.nan if w == "" else w for w in words], dtype=object)})
    target = np.arange(len(words), dtype=float) ** 1.5 if y is None else y
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # handle_unknown="warn" does
        model = make_pipeline(encoder, LinearRegression()).fit(frame, target)
        texts = np.array([[probe] for probe in probes], dtype=object)
        nothing = np.empty((len(probes), 0))
        fast = CompiledPredictor(build(model, ["t"], ["t"])).own_scores(nothing, texts)
        return fast, SklearnPredictor(model, ["t"], ["t"]).scores(nothing, texts)


WORDS = ["a"] * 9 + ["b"] * 6 + ["ñ"] * 3 + ["d"] * 2 + [""] * 4 + ["e"]
PROBES = ["a", "b", "ñ", "d", "e", "", "never seen"]


@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(handle_unknown="ignore"),
        OneHotEncoder(handle_unknown="ignore", drop="first"),
        OneHotEncoder(handle_unknown="ignore", min_frequency=4),
        OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=4, drop=["a"]),
        OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=3),
        OneHotEncoder(handle_unknown="warn", max_categories=2, sparse_output=False),
        OneHotEncoder(handle_unknown="ignore", categories=[["b", "never seen", "zzz"]]),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-5, encoded_missing_value=-7),
        OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=99, encoded_missing_value=-1, min_frequency=4
        ),
        TargetEncoder(cv=2),
    ],
    ids=str,
)
@pytest.mark.parametrize("fill", [None, "b", "other"])
def test_each_word_is_encoded_the_same(encoder: Any, fill: str | None) -> None:
    steps = [] if fill is None else [SimpleImputer(strategy="constant", fill_value=fill)]

    fast, slow = encoded(make_pipeline(*steps, encoder), WORDS, PROBES)

    np.testing.assert_allclose(fast, slow, rtol=1e-12, atol=1e-9)


def test_an_encoder_that_refuses_a_word_leaves_the_row_open() -> None:
    frame = pd.DataFrame({"t": pd.Series(["a", "b"] * 5, dtype=object)})
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(frame, [0, 1] * 5)

    scores = CompiledPredictor(build(model, ["t"], ["t"])).own_scores(
        np.empty((3, 0)), np.array([["a"], ["c"], [""]], dtype=object)
    )

    assert np.isnan(scores).all(axis=1).tolist() == [False, True, True]


def test_columns_with_other_fills_share_one_input() -> None:
    texts = pd.DataFrame({"s": ["a", "b", "b", ""] * 6, "t": ["b", "", "a", "a"] * 6}, dtype=object)
    frame = texts.replace("", np.nan)
    model = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"), LogisticRegression()
    ).fit(frame, [0, 1, 1, 0] * 6)
    probes = np.array([["", ""], ["a", "b"], ["b", ""], ["x", "a"]], dtype=object)

    fast = CompiledPredictor(build(model, ["s", "t"], ["s", "t"])).own_scores(np.empty((4, 0)), probes)

    slow = SklearnPredictor(model, ["s", "t"], ["s", "t"]).scores(np.empty((4, 0)), probes)
    np.testing.assert_allclose(fast, slow, atol=1e-12)


def test_a_step_of_ones_own_is_compiled_by_its_method() -> None:
    pipeline = linear(Doubled())

    predictor = CompiledPredictor(compiled(pipeline))

    np.testing.assert_allclose(predictor.scores(FRAME.to_numpy(), None), pipeline.predict(FRAME), rtol=1e-12)


def test_a_function_of_ones_own_is_compiled_once_registered() -> None:
    pipeline = linear(FunctionTransformer(halved))

    predictor = CompiledPredictor(compiled(pipeline))

    np.testing.assert_allclose(predictor.scores(FRAME.to_numpy(), None), pipeline.predict(FRAME), rtol=1e-12)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (Silent(), "Silent: no converter"),
        (FunctionTransformer(np.cbrt), "no converter for the function 'cbrt'"),
        (Wrong(), "differs by .* from the pipeline in golden row"),
        (Broken(), "oops"),
    ],
)
def test_a_step_without_an_exact_graph_is_named(step: Any, reason: str) -> None:
    pipeline = linear(step)

    with pytest.raises(NotCompilableError, match=reason):
        compiled(pipeline)


def test_a_last_step_that_alone_cannot_be_compiled_is_said_to_be_so() -> None:
    pipeline = make_pipeline(StandardScaler(), GaussianProcessRegressor()).fit(FRAME, FRAME["x"])

    with pytest.raises(
        NotCompilableError, match=r"all steps but the last can be compiled; .*GaussianProcess"
    ):
        compiled(pipeline)


def test_neighbours_that_are_mostly_tied_run_as_scikit_learn() -> None:
    frame = pd.DataFrame({"x": np.arange(60.0) % 2, "z": np.arange(60.0) % 3})
    pipeline = make_pipeline(StandardScaler(), KNeighborsClassifier(5)).fit(frame, np.arange(60) % 4 > 1)

    with pytest.raises(NotCompilableError, match="cannot decide"):
        compile_pipeline(pipeline, ["x", "z"], [], make_golden(pipeline, frame, []))


def test_an_unused_input_is_not_asked_for() -> None:
    frame = FRAME.assign(t=pd.Series(["a", "b"] * 20, dtype=object))
    only_x = ColumnTransformer([("x", StandardScaler(), ["x"])])
    pipeline = make_pipeline(only_x, LinearRegression()).fit(frame, frame["x"])

    predictor = CompiledPredictor(build(pipeline, ["x", "z", "t"], ["t"]))

    assert predictor.scores(FRAME.to_numpy(), None) == pytest.approx(FRAME["x"])


def test_golden_rows_hold_edges_and_answers() -> None:
    frame = FRAME.assign(t=pd.Series(["a", "b"] * 20, dtype=object))
    pipeline = make_pipeline(
        ColumnTransformer([("t", OneHotEncoder(handle_unknown="ignore"), ["t"])], remainder=SimpleImputer()),
        LinearRegression(),
    ).fit(frame, frame["x"])

    golden = make_golden(pipeline, frame, ["t"], may_miss=["x", "t"], ranges={"z": (0.0, 100.0)})

    assert np.isnan(golden.numbers[:, 0]).any() and {100.0, np.nextafter(100.0, np.inf)} <= {
        *golden.numbers[:, 1]
    }
    assert golden.texts is not None and {"", "a"} < {*golden.texts[:, 0]}
    assert golden.n_usual == 40 < golden.n_rows
    assert Golden.from_bytes(golden.to_bytes()).n_rows == golden.n_rows


def test_golden_rows_stand_on_both_sides_of_a_jump() -> None:
    pipeline = make_pipeline(StandardScaler(), FunctionTransformer(np.floor), LinearRegression())
    pipeline.fit(FRAME, FRAME["x"] + FRAME["z"])

    golden = make_golden(pipeline, FRAME, [])

    sides = golden.numbers[-golden.n_rows // 4 :, 0]
    assert np.isin(np.nextafter(sides, np.inf), golden.numbers[:, 0]).any()


def test_golden_rows_leave_out_what_the_pipeline_refuses() -> None:
    frame = pd.DataFrame({"t": pd.Series(["a", "b"] * 10, dtype=object)})
    pipeline = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(frame, [0, 1] * 10)

    golden = make_golden(pipeline, frame, ["t"], may_miss=["t"])

    assert golden.texts is not None and {*golden.texts[:, 0]} == {"a", "b"}
