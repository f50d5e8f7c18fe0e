"""Which language a page speaks, and its texts: one catalogue a language, all with the same keys."""

import json
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlencode

from flask import Response, request

LANGUAGES = {"en": "English", "es": "Español"}
DEFAULT = "en"
COOKIE = "vigia_language"
YEAR_S = 31_536_000
TEXTS = Path(__file__).with_name("texts")


@lru_cache
def catalogue(language: str) -> dict[str, str]:
    """Return all texts of a language by key."""
    found: dict[str, str] = json.loads((TEXTS / f"{language}.json").read_text(encoding="utf-8"))
    return found


def chosen() -> str:
    """Return the language of this request: chosen by hand, remembered, or what the browser prefers."""
    for wanted in (request.args.get("lang"), request.cookies.get(COOKIE)):
        if wanted in LANGUAGES:
            return wanted
    return request.accept_languages.best_match(list(LANGUAGES), DEFAULT)


def remember(answer: Response) -> Response:
    """Keep a language that was chosen by hand."""
    wanted = request.args.get("lang")
    if wanted in LANGUAGES and answer.mimetype == "text/html":
        answer.set_cookie(COOKIE, wanted, max_age=YEAR_S, samesite="Lax", secure=request.is_secure)
    return answer


def t(key: str, **values: object) -> str:
    """Return a text in the language of this request, with ``{names}`` filled in.

    Raises KeyError for a key that the catalogue lacks: a page with a hole is a fault of ours.
    """
    return catalogue(chosen())[key].format(**values)


def address(**changes: object) -> str:
    """Return the query of this page with some parts changed; those that become None are left out."""
    kept = {**request.args.to_dict(), **changes}
    dropped = ("done", "failed", "about", "lang")
    return urlencode(
        {name: value for name, value in kept.items() if value is not None and name not in dropped}
    )


def other_language(code: str) -> str:
    """Return the address of this page in another language."""
    query = address()
    return f"{request.path}?{query}&lang={code}" if query else f"{request.path}?lang={code}"
