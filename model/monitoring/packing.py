"""A compact binary form of non-negative integer vectors, for counts that are kept in a database.

Layout, version 1, little endian, 12 bytes of head and then the payload::

    byte  0      version, 1
    byte  1      bytes an integer: 1, 2, 4 or 8, the fewest that hold the largest one
    byte  2      1 if the payload is zlib-compressed, 0 if it is plain
    byte  3      0
    bytes 4-7    layout: the checksum of the cells that these counts belong to
    bytes 8-11   number of integers

No pickle: reading hostile bytes can raise ``IntegrityError`` and do nothing else. The stated length bounds
what is decompressed.
"""

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.monitoring.arrays import Ints
from utils.errors import IntegrityError

VERSION = 1
_HEAD = struct.Struct("<BBBxII")
_WIDTHS = (1, 2, 4, 8)
_MAX_LENGTH = 1 << 24  # far above any layout; keeps a forged head from asking for gigabytes


def pack(values: Ints, layout: int) -> bytes:
    """Return ``values`` (non-negative, shape (n,)) as bytes, compressed if that at least halves them.

    Decompressing costs more than reading twice the bytes.

    >>> unpack(pack(np.array([0, 3, 300]), layout=7))
    (array([  0,   3, 300]), 7)
    """
    largest = int(values.max(initial=0))
    width = next(w for w in _WIDTHS if largest < 1 << 8 * w)
    plain = values.astype(f"<u{width}").tobytes()
    squeezed = zlib.compress(plain, 6)
    is_squeezed = 2 * len(squeezed) <= len(plain)
    head = _HEAD.pack(VERSION, width, is_squeezed, layout, len(values))
    return head + (squeezed if is_squeezed else plain)


def unpack(data: bytes) -> tuple[Ints, int]:
    """Return the integers, shape (n,), and the layout they belong to.

    Raises
    ------
    IntegrityError
        If ``data`` is cut off, of an unknown version, or longer than it says.
    """
    width, layout, length, payload = _opened(data)
    return _values(payload, width, length).astype(np.int64), layout


def unpack_rows(packed: Sequence[bytes | None], layout: int, length: int) -> NDArray[Any]:
    """Return many vectors of one layout as a matrix of the fewest bytes, zeros where there is None.

    Parameters
    ----------
    packed : sequence of bytes or None, n_rows of them
    length : int
        Integers in each vector.

    Returns
    -------
    ndarray of shape (n_rows, length)
        Of an unsigned type.

    Raises
    ------
    IntegrityError
        As ``unpack``, or if one has another length.
    ValueError
        If one has another layout.
    """
    opened = [None if one is None else _opened(one) for one in packed]
    _same(opened, layout, length)
    widest = max((one[0] for one in opened if one is not None), default=1)
    blank = bytes(widest * length)
    payloads = [blank if one is None else _widened(one, widest) for one in opened]
    return _values(b"".join(payloads), widest, length * len(packed)).reshape(len(packed), length)


_Opened = tuple[int, int, int, bytes]


def _same(opened: Sequence[_Opened | None], layout: int, length: int) -> None:
    for one in opened:
        if one is not None and one[1] != layout:
            raise ValueError("counts of different cells do not add up")
        if one is not None and one[2] != length:
            raise IntegrityError("packed counts have another length than their cells")


def _widened(opened: _Opened, width: int) -> bytes:
    if opened[0] == width:
        return opened[3]
    return np.frombuffer(opened[3], f"<u{opened[0]}").astype(f"<u{width}").tobytes()


def _opened(data: bytes) -> _Opened:
    """Return bytes an integer, layout, number of integers and the plain payload."""
    if len(data) < _HEAD.size:
        raise IntegrityError("packed counts are cut off")
    version, width, is_squeezed, layout, length = _HEAD.unpack_from(data)
    if version != VERSION or width not in _WIDTHS or is_squeezed > 1 or length > _MAX_LENGTH:
        raise IntegrityError("packed counts have a head that this version cannot read")
    return width, layout, length, _payload(data[_HEAD.size :], bool(is_squeezed), length * width)


def _values(payload: bytes, width: int, length: int) -> NDArray[Any]:
    values = np.frombuffer(payload, f"<u{width}")
    if width == _WIDTHS[-1] and length and int(values.max()) >= 1 << 63:
        raise IntegrityError("packed counts are larger than any count can be")
    return values


def _payload(body: bytes, is_squeezed: bool, size: int) -> bytes:
    if is_squeezed:
        reader = zlib.decompressobj()
        try:
            body = reader.decompress(body, size + 1)
        except zlib.error as broken:
            raise IntegrityError("packed counts do not decompress") from broken
    if len(body) != size or (is_squeezed and not reader.eof):
        raise IntegrityError(f"packed counts should have {size} bytes, not {len(body)}")
    return body
