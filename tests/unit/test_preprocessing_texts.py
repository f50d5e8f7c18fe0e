"""Numbers, torques and words out of texts, by the pipeline and by its graph."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from model.compiling.compilation import build
from model.predictor import CompiledPredictor
from model.preprocessing.texts import FirstWords, Quantity, Torque

NAN = float("nan")


def column(*texts):
    return pd.DataFrame({"text": pd.Series(list(texts), dtype=object)})


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("23.4 kmpl", 23.4),
        ("1248 CC", 1248),
        ("1,248 CC", 1248),
        ("74bhp", 74),
        (" 0 ", 0),
        (".5 l", 0.5),
        ("-3 °C", -3),
        ("bhp", NAN),
        ("about 5", NAN),
        ("5 to 6", NAN),
        ("", NAN),
        ("٣ kg", NAN),
    ],
)
def test_a_quantity_is_the_number_before_its_unit(text, number):
    assert Quantity().fit_transform(column(text))[0, 0] == pytest.approx(number, nan_ok=True)


def test_a_quantity_in_another_unit_is_converted_and_in_an_unknown_one_missing():
    volumes = Quantity({"cc": 1.0, "l": 1_000.0}).fit_transform(column("1.2 L", "998 cc", "998", "60 cu in"))

    assert volumes[:, 0] == pytest.approx([1_200, 998, 998, NAN], nan_ok=True)


@pytest.mark.parametrize(
    ("text", "torque", "speed"),
    [
        ("190Nm@ 2000rpm", 190, 2000),
        ("250Nm@ 1500-2500rpm", 250, 2500),
        ("22.4 kgm at 1750-2750rpm", 22.4 * 9.80665, 2750),
        ("11.5@ 4,500(kgm@ rpm)", 11.5 * 9.80665, 4500),
        ("110(11.2)@ 4800", 110, 4800),
        ("380Nm(38.7kgm)@ 2500rpm", 380, 2500),
        ("24@ 1,900-2,750(kgm@ rpm)", 24 * 9.80665, 2750),
        ("48@ 3,000+/-500(NM@ rpm)", 48, 3000),
        ("210 / 1900", 210, 1900),
        ("135 Nm at 2500  rpm ", 135, 2500),
        ("62Nm", 62, NAN),
        ("113.75nm@ 4000rpm", 113.75, 4000),
        ("200 KGM at 1750 RPM", 200, 1750),  # no car has that much
        ("much", NAN, NAN),
    ],
)
def test_a_torque_is_read_in_all_the_forms_that_adverts_have(text, torque, speed):
    assert Torque().fit_transform(column(text))[0] == pytest.approx([torque, speed], nan_ok=True)


def test_the_first_words_are_those_between_blanks():
    words = FirstWords(2).fit_transform(column("Maruti  Swift Dzire VDI", " BMW", "", "  ", np.nan, "MG\tZ"))

    assert words[:, 0].tolist()[:2] == ["Maruti Swift", "BMW"]
    assert pd.isna(words[2:5, 0]).all()
    assert words[5, 0] == "MG\tZ"


@pytest.mark.parametrize("step", [Quantity(), Torque(), FirstWords()])
def test_missing_stays_missing(step):
    assert pd.isna(step.fit(column("190Nm@ 2000rpm", np.nan)).transform(column(np.nan, None))).all()


def test_outputs_are_named_after_their_columns():
    text = column("1Nm@ 100rpm")

    assert list(Torque().fit(text).get_feature_names_out()) == ["text_nm", "text_rpm"]
    assert list(Quantity().fit(text).get_feature_names_out()) == ["text"]
    assert list(FirstWords().fit(text).get_feature_names_out()) == ["text"]


def test_a_copy_has_the_same_settings():
    assert clone(Quantity({"l": 2.0})).units == {"l": 2.0}
    assert clone(FirstWords(3)).n_words == 3


MEASURES = [
    "23.4 kmpl",
    "7",
    "1248 CC",
    "12 L",
    "0.125 l",
    "",
    "kmpl",
    "1,200 CC",
    "9 parsecs",
    " 5 l",
    "5.",
    "1e5 l",
]
TORQUES = [
    "190Nm@ 2000rpm",
    "99.5Nm@ 1500-2750rpm",
    "22.4 kgm at 1750rpm",
    "",
    "none",
    "1Nm@ 99rpm",
    "7Nm at 500rpm",
]
NAMES = ["Maruti Swift Dzire", "Maruti", "  BMW  X1 ", "", "MG\tZ 5", "é ü", "\u00a0x y", "Maruti  Swift"]


def answers(steps, texts, fitted_on):
    """Answers of a pipeline and of its graph; NaN where the graph leaves a row to the pipeline."""
    rng = np.random.default_rng(0)
    pipeline = make_pipeline(*steps, LinearRegression()).fit(fitted_on, rng.normal(size=len(fitted_on)))
    graph = CompiledPredictor(build(pipeline, ["text"], ["text"]))
    given = np.array([["" if pd.isna(text) else text] for text in texts], dtype=object)
    return pipeline.predict(column(*[text or np.nan for text in texts])), graph.own_scores(
        np.empty((len(texts), 0)), given
    )


@pytest.mark.parametrize("units", [None, {"kmpl": 1.0, "cc": 1.0, "l": 1_000.0}])
def test_a_graph_reads_plain_quantities_and_leaves_others_to_the_pipeline(units):
    own, graph = answers([Quantity(units), SimpleImputer()], MEASURES, column("1 l", "2 kmpl", "3 cc", "4"))
    is_open = np.isnan(graph)

    assert graph[~is_open] == pytest.approx(own[~is_open], rel=1e-12)
    assert not is_open[:7].any()
    assert is_open[7]


def test_a_graph_reads_plain_torques_and_looks_others_up():
    known = column("190Nm@ 2000rpm", "22.4 kgm at 1750rpm", "100Nm@ 1000rpm", "bad")
    own, graph = answers([Torque(), SimpleImputer()], TORQUES, known)

    assert graph[:5] == pytest.approx(own[:5], rel=1e-12)
    assert np.isnan(graph[5:]).all()


@pytest.mark.parametrize("n_words", [1, 2, 3])
def test_a_graph_splits_names_as_the_pipeline_does(n_words):
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    own, graph = answers([FirstWords(n_words), one_hot], NAMES, column(*[name or np.nan for name in NAMES]))

    assert graph == pytest.approx(own, rel=1e-12)


def test_a_graph_reads_units_right_behind_their_number():
    texts = ["50%", "50.25%", "7kg", "8 kg", "9", "none"]

    own, graph = answers([Quantity(), SimpleImputer()], texts, column(*texts))

    assert graph == pytest.approx(own, rel=1e-12)
