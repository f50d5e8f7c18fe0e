"""Whatever a spec file holds, reading it ends with a spec or with an error that names the fault."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model import spec
from model.schema import parse_json
from utils.errors import BadRequestError, SpecError

SPECS = [path.read_text() for path in sorted((Path(spec.__file__).parent / "specs").glob("*.yaml"))]
ODD = [
    "2026-99-99", "!!int x", "!!timestamp x", "? [a]", "{}", "[]", "~", "1e999", "-.inf", ".nan", "'", "&a",
    "*a", "<<: {a: 1}", "%YAML 9.9\n---", "...", "1:60:60", "!!set {a}", "|", "on: x", "(?P<", "\t", ": ",
]  # fmt: skip
edits = st.lists(
    st.tuples(st.integers(0, 10_000), st.integers(0, 40), st.sampled_from(ODD) | st.text(max_size=3)),
    min_size=1,
    max_size=4,
)
quickly = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@quickly
@given(text=st.sampled_from(SPECS), changes=edits)
def test_a_damaged_spec_is_a_spec_or_an_error_of_ours(text, changes):
    for place, n_gone, put in changes:
        start = place % len(text)
        text = text[:start] + put + text[start + n_gone :]

    try:
        assert spec.loads(text).name
    except SpecError as error:
        assert error.detail.startswith("spec")


@quickly
@given(body=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_body_is_json_or_an_error_of_ours(body):
    try:
        parse_json(body)
    except BadRequestError as error:
        assert error.detail
