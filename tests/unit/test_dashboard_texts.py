"""Texts of the pages: every language has every text, and stored sentences are said in each."""

import re
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest

from app.dashboard import language, sentences
from model import gate

APP = Path(language.__file__).parents[1]
SOURCES = [*APP.glob("templates/*.html"), *APP.glob("dashboard/*.py")]
STORED = {
    "tempo is 14 bpm higher at the median (118 → 132)": "la mediana es 14 bpm más alta",
    "share of tempo above 180 rose from 1.5 % to 12 %": "la parte de tempo por encima de 180 subió",
    "share of 'diesel' in fuel fell from 60 % to 40 %": "la parte de 'diesel' en fuel bajó",
    "Age: share of missing values rose from 17 % to 55 %": "la parte de valores que faltan subió",
    "roc_auc 0.975 on 161 labelled rows, 0.9942 at training.": "161 filas con etiqueta",
    "12 rows came where 80 are usual": "llegaron 12 filas",
    "Drift of tempo": "Deriva de tempo",
    "Drift of pairs": "Deriva de pares",
    "share of km at or above 7982 fell from 39 % to 37 %": "la parte de km desde 7982 bajó",
    "share of categories not in training in fuel rose from 0 % to 5 %": "categorías que no había",
    "born is 12 days later at the median (2020-01-01 → 2020-01-13)": "12 días más tarde",
    "Predictions meanwhile: share of probability above 0.6 fell from 29 % to 21 % (effect 0.082).":
        "Las predicciones entretanto: la parte de probability por encima de 0.6 bajó del 29 % al 21 % (e",
    "Better: gain in roc_auc +0.02, 90% interval +0.01 to +0.03, on 500 held-out rows (margin 0);"
    " by chance with probability 0.002. Worse on: night, rain.":
        "Mejor: ganancia en roc_auc +0.02, intervalo del 90 % de +0.01 a +0.03, con 500 filas apartadas"
        " (margen 0); por azar con probabilidad 0.002. Peor en: night, rain.",
    "run-pipeline because of drift/x, quality/mae, promote=if_better. There was no champion.":
        "run-pipeline por drift/x, quality/mae, promote=if_better. No había versión en uso.",
    "12 held-out rows are too few to tell; 30 are needed.": "hacen falta 30",
    "1 and 2 agree on 98.9% of 1573 logged rows. On 5 with a label: The two cannot be compared by mae on"
    " these rows.": "Con etiqueta, 5: Las dos no se pueden comparar por mae",
    "400 is outside of from 0 to 250.": "400 está fuera de 0 a 250.",
}  # fmt: skip


@pytest.mark.parametrize("code", language.LANGUAGES)
def test_every_language_has_every_text_with_the_same_blanks(code):
    english, other = language.catalogue("en"), language.catalogue(code)

    assert other.keys() == english.keys()
    assert {k for k in english if _blanks(english[k]) != _blanks(other[k])} == set()


def test_every_text_that_is_asked_for_is_there():
    asked = {
        key for path in SOURCES for key in re.findall(r"\bt\(\s*['\"]([\w.]+)['\"]\s*[,)]", path.read_text())
    }

    assert len(asked) > 150
    assert asked - language.catalogue("en").keys() == set()


def test_every_form_of_a_sentence_has_its_text():
    assert {key for key, _ in sentences.FORMS} - language.catalogue("es").keys() == set()


@pytest.mark.parametrize("stored", STORED)
def test_a_stored_sentence_is_said_in_spanish(stored):
    assert STORED[stored] in sentences.translated(stored, "es")


def test_every_sentence_of_the_gate_is_said_in_spanish():
    given = {"metric": "mae", "level": 0.9, "margin": 0.5, "n_held_out": 40, "challenger": {}}
    decisions = [gate.Decision(verdict, **given) for verdict in get_args(gate.Verdict)]
    told = [
        gate.Decision(one.verdict, gain=0.1, low=-0.1, high=0.2, chance=0.3, **given) for one in decisions
    ]

    for decision in [*decisions, *told]:
        assert sentences.translated(decision.sentence, "es") != decision.sentence


def test_what_a_person_typed_stays_as_it_is():
    assert sentences.translated("because {f} I say <so>", "es") == "because {f} I say <so>"


def _blanks(text):
    return {name for _, name, _, _ in Formatter().parse(text) if name}
