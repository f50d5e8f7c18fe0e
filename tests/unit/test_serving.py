"""Which version answers, and how often others are asked for it."""

from types import SimpleNamespace

import pytest

from mlops.serving import Serving
from model.spec import loads
from utils.errors import NotFoundError, UnavailableError, VigiaError

SPEC = loads(
    "name: m\ntask: regression\ntarget: {name: y}\ndata: {train: m.csv}\nfeatures: {x: {type: number}}"
)


class World:
    """A registry that counts what it is asked."""

    def __init__(self):
        self.champions, self.canaries, self.loads = {}, [], []
        self.broken = set()
        self.n_looks = 0
        self.serving = Serving(
            {"m": SPEC}, self.load, self.look, None, max_rows=5, canaries=self.list_canaries
        )

    def load(self, model, version):
        self.loads.append(version)
        if version in self.broken:
            raise VigiaError("its golden rows come out wrong")
        return SimpleNamespace(model=model, version=version, spec=SPEC, threshold=None, conformal=None)

    def list_canaries(self):
        return self.canaries

    def look(self):
        self.n_looks += 1
        return {model: {"version": version} for model, version in self.champions.items()}


@pytest.fixture
def world():
    return World()


def test_a_canary_is_loaded_once_however_many_other_versions_are_asked_for(world):
    world.champions["m"] = "1"
    world.canaries = [{"model": "m", "version": "2", "share": 1.0}]
    world.serving.refresh()
    for version in "345678":
        world.serving.version("m", version)

    world.serving.refresh()

    assert world.loads.count("2") == 1
    assert world.serving.chosen("m", "any").loaded.version == "2"


def test_a_version_that_cannot_be_loaded_is_left_alone_for_a_while(world):
    world.champions["m"] = "1"
    world.serving.refresh()
    world.champions["m"] = "2"
    world.broken = {"2"}
    world.canaries = [{"model": "m", "version": "2", "share": 1.0}]

    for _ in range(3):
        world.serving.refresh()

    assert world.loads.count("2") == 1
    assert world.serving.failures() == {"m": "its golden rows come out wrong"}
    assert world.serving.chosen("m", "any").loaded.version == "1"


def test_a_failure_is_over_with_the_next_champion(world):
    world.champions["m"], world.broken = "2", {"2"}
    world.serving.refresh()
    world.champions["m"] = "1"
    world.serving.refresh()

    assert world.serving.failures() == {}


def test_requests_without_a_champion_ask_for_it_once(world):
    for _ in range(3):
        with pytest.raises(UnavailableError, match="no champion"):
            world.serving.champion("m")

    assert world.n_looks == 1


def test_the_first_champion_is_found_by_the_first_request(world):
    world.champions["m"] = "1"

    assert world.serving.champion("m").loaded.version == "1"


def test_an_unknown_model_is_looked_for_nowhere(world):
    with pytest.raises(NotFoundError, match="There are: m"):
        world.serving.champion("other")

    assert world.n_looks == 0
