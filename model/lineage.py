"""Which logged predictions a version learnt from: a part of the version, signed with it. Light."""

from collections.abc import Sequence

import msgspec


class Lineage(msgspec.Struct, frozen=True):
    """Ids of the logged predictions among the training rows, held-out ones included, sorted."""

    prediction_ids: list[str]


def encode(prediction_ids: Sequence[str]) -> bytes:
    """Return the part of a version."""
    return msgspec.json.encode(Lineage(sorted(prediction_ids)))


def decode(content: bytes) -> list[str]:
    """Return the ids that ``encode`` got."""
    return msgspec.json.decode(content, type=Lineage).prediction_ids
