"""Sentences that checks have stored in English, said in the language of the page.

They are few forms with names and numbers in them, so they are read back by pattern: ``texts/forms.json`` has
each with its key of the catalogue. A part named ``rest…`` is a sentence itself. What is not known, such as a
reason that somebody typed, stays as it is.
"""

import json
import re
from functools import lru_cache

from app.dashboard.language import TEXTS, catalogue, chosen

FORMS: list[tuple[str, str]] = json.loads((TEXTS / "forms.json").read_text(encoding="utf-8"))
_COMPILED = tuple((key, re.compile(form)) for key, form in FORMS)
# Words inside of sentences: what they are in the catalogue.
WORDS = ("how", "side", "what", "cut")
PART = "rest"


def said(text: str) -> str:
    """Return a stored sentence in the language of the page."""
    language = chosen()
    return text if language == "en" else translated(text, language)


@lru_cache(maxsize=4_096)
def translated(text: str, language: str) -> str:
    """Return a stored sentence in a language; as it is where its form is not known."""
    texts = catalogue(language)
    for key, form in _COMPILED:
        if (found := form.fullmatch(text)) is not None:
            values = {name: value or "" for name, value in found.groupdict().items()}
            values |= {name: texts[f"said.word.{values[name]}"] for name in WORDS if values.get(name)}
            values |= {
                name: translated(value, language)
                for name, value in values.items()
                if name.startswith(PART) and value
            }
            values["moved"] = _moved(values, texts)
            return texts[key].format(**values)
    return text


def _moved(values: dict[str, str], texts: dict[str, str]) -> str:
    if values.get("same"):
        return texts["said.stayed"].format(**values)
    return texts["said.moved"].format(**values) if values.get("how") else ""
