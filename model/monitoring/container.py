"""The file form of a reference: a JSON head and binary blocks, checksummed, no pickle.

Layout, version 1, little endian::

    4 bytes   b"VGR1"
    4 bytes   CRC-32 of all that follows
    rest      zlib stream of: u32 length of the head, the head (UTF-8 JSON: {"items": [...], "sizes": [...]}),
              then the blocks one after another, whose sizes the head lists

The checksum finds accidents; against intent there is the signature of the artifact that holds these bytes.
"""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from utils.errors import IntegrityError

_MAGIC = b"VGR1"
_MAX_SIZE = 1 << 28  # 256 MB: a thousand features of a thousand cells are 32 MB


def write_container(items: Sequence[Mapping[str, Any]], blocks: Sequence[bytes]) -> bytes:
    """Return the bytes of JSON ``items`` and binary ``blocks``."""
    head = json.dumps({"items": list(items), "sizes": [len(block) for block in blocks]}, allow_nan=False)
    encoded = head.encode()
    body = zlib.compress(struct.pack("<I", len(encoded)) + encoded + b"".join(blocks), 6)
    return _MAGIC + struct.pack("<I", zlib.crc32(body)) + body


def read_container(data: bytes) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Return the items and blocks that ``write_container`` was given.

    Raises
    ------
    IntegrityError
        If the bytes are cut off, changed, or of another version.
    """
    if data[:4] != _MAGIC or len(data) < 8 or struct.unpack_from("<I", data, 4)[0] != zlib.crc32(data[8:]):
        raise IntegrityError("the reference is damaged, or of a version that this one cannot read")
    try:
        body = zlib.decompressobj().decompress(data[8:], _MAX_SIZE)
        size = struct.unpack_from("<I", body)[0]
        head = json.loads(body[4 : 4 + size])
        return head["items"], _cut(body[4 + size :], head["sizes"])
    except (zlib.error, struct.error, ValueError, KeyError, TypeError) as broken:
        raise IntegrityError("the reference cannot be read") from broken


def _cut(body: bytes, sizes: Sequence[int]) -> list[bytes]:
    blocks, start = [], 0
    for size in sizes:
        blocks.append(body[start : start + size])
        start += size
    if start != len(body):
        raise ValueError("blocks are cut off")
    return blocks
