"""What docs/model.md shows is what the program takes."""

import re
from pathlib import Path

from model import spec
from model.__main__ import main
from model.spec import Feature

TEXT = (Path(__file__).parents[2] / "docs" / "model.md").read_text(encoding="utf-8")


def test_the_spec_in_the_docs_is_one():
    shown = spec.loads(re.search(r"```yaml\n(.*?)```", TEXT, re.S).group(1))

    assert shown.class_names == ("free", "booked")
    assert {feature.type for feature in shown.features.values()} == set(
        Feature.__annotations__["type"].__args__
    )


def test_each_command_is_in_the_docs_and_each_in_the_docs_is_one():
    assert set(re.findall(r"`python -m model ([a-z][a-z-]*)", TEXT)) == set(main.commands)
