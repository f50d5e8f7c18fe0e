"""Texts of the pages: every language has every text, and stored sentences are said in each."""

import re
from pathlib import Path
from string import Formatter

import pytest

from app.dashboard import language, sentences

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
}


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


def test_what_a_person_typed_stays_as_it_is():
    assert sentences.translated("because {f} I say <so>", "es") == "because {f} I say <so>"


def _blanks(text):
    return {name for _, name, _, _ in Formatter().parse(text) if name}
