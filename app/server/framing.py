"""Where an HTTP/1.1 request ends in what has come so far (RFC 9112, section 6).

Only this: how many bytes to wait for. gunicorn parses and judges the request, from these bytes and no others,
so a length that the two read differently ends the connection instead of smuggling a request.
"""

import re
from collections.abc import Iterator

HEAD_END = b"\r\n\r\n"
MAX_HEAD_BYTES = 65_536
# A chunk's size and its extensions, or one line of a trailer.
MAX_LINE_BYTES = 4_096
READ_BYTES = 65_536
MAX_READ_BYTES = 1_048_576

_FIELDS = re.compile(
    rb"\r\n(?:content-length:[ \t]*(\d{1,18})[ \t]*(?=\r)|(transfer-encoding):|(expect):)", re.IGNORECASE
)
# Of a method; a TLS hello and the preamble of the PROXY protocol begin otherwise.
_BEGINNING = re.compile(rb"\r?$|[!-~]")
_CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,15}")


class FramingError(Exception):
    """What came cannot become a request; ``status`` is the answer to it."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Incoming:
    """Gathers the bytes of one connection and cuts them into requests.

    Parameters
    ----------
    max_body_bytes : int
        A body that is longer is refused when its length is known, before it is read.

    Attributes
    ----------
    expects_continue : bool
        Whether the client waits for ``100 Continue`` before it sends the body.
    """

    __slots__ = ("_buffer", "_end", "_head_end", "_line_start", "_max_body", "expects_continue")

    def __init__(self, max_body_bytes: int) -> None:
        self._max_body = max_body_bytes
        self.clear()

    def _begin(self) -> None:
        self._head_end = 0
        self._end: int | None = None
        self._line_start: int | None = None
        self.expects_continue = False

    def __len__(self) -> int:
        return len(self._buffer)

    @property
    def head(self) -> bytes:
        """The beginning of what is there, for messages about it."""
        return bytes(self._buffer[:MAX_HEAD_BYTES])

    @property
    def wanted(self) -> int:
        """How many bytes to read at once."""
        if self._end is None:
            return READ_BYTES
        return min(max(self._end - len(self._buffer), READ_BYTES), MAX_READ_BYTES)

    def clear(self) -> None:
        """Forget what is there."""
        self._buffer = bytearray()
        self._begin()

    def add(self, data: bytes) -> None:
        """Take what came."""
        self._buffer += data

    def take(self) -> bytes | None:
        """Return the next request if all of it is there. Raises FramingError where it never will be."""
        if not self._head_end and not self._read_head():
            return None
        if self._line_start is not None and self._end is None:
            self._read_chunks(self._line_start)
        self._check_size()
        if self._end is None or len(self._buffer) < self._end:
            return None
        request = bytes(self._buffer[: self._end])
        del self._buffer[: self._end]
        self._begin()
        return request

    def _read_head(self) -> bool:
        """Find the end of the head and what it says about the body."""
        while self._buffer.startswith(b"\r\n"):
            del self._buffer[:2]  # what some clients send behind a body
        found = self._buffer.find(HEAD_END)
        if found < 0:
            self._check_head()
            return False
        self._head_end = found + len(HEAD_END)
        self._end = self._head_end
        for length, encoding, expect in _FIELDS.findall(self._buffer, 0, found + 2):
            self._note(length, bool(encoding), bool(expect))
        return True

    def _check_head(self) -> None:
        """Raise FramingError where more bytes would make no request of what is there."""
        if self._buffer and not _BEGINNING.match(self._buffer):
            raise FramingError(400, "This is not HTTP. TLS ends at a proxy in front, not here.")
        if b"\n\n" in self._buffer:
            raise FramingError(400, "Lines of a request end with CR and LF.")
        if len(self._buffer) > MAX_HEAD_BYTES:
            raise FramingError(431, "The head of the request is too large.")

    def _note(self, length: bytes, is_encoded: bool, is_expecting: bool) -> None:
        if length and self._line_start is None:
            self._end = self._head_end + int(length)
        elif is_encoded:
            self._end, self._line_start = None, self._head_end
        self.expects_continue = self.expects_continue or is_expecting

    def _check_size(self) -> None:
        self._refuse_beyond(len(self._buffer) if self._end is None else self._end)

    def _refuse_beyond(self, end: int) -> None:
        if end - self._head_end > self._max_body:
            raise FramingError(413, "The body is larger than MAX_BODY_BYTES allows.")

    def _read_chunks(self, start: int) -> None:
        """Go from chunk to chunk as far as they are there; set the end where the last one ends."""
        for start, size in self._chunks(start):  # noqa: B020  the loop moves on from its own start
            self._line_start = start
            self._refuse_beyond(start + size)
            if size == 0:
                self._end = self._trailer_end(start)
                return

    def _chunks(self, start: int) -> Iterator[tuple[int, int]]:
        """Yield for each whole line with a size where that line starts, and the size."""
        while (line_end := self._line_end(start)) is not None:
            found = _CHUNK_SIZE.match(self._buffer, start, line_end)
            if found is None:
                raise FramingError(400, "The size of a chunk is not a number.")
            size = int(found[0], 16)
            yield start, size
            start = line_end + 2 + size + 2

    def _trailer_end(self, start: int) -> int | None:
        """Return the end of the empty line that ends the trailer, None if it is not there yet."""
        while (line_end := self._line_end(start)) is not None:
            if line_end == start:
                return line_end + 2
            start = line_end + 2
        return None

    def _line_end(self, start: int) -> int | None:
        end = self._buffer.find(b"\r\n", start)
        if end < 0 and len(self._buffer) - start > MAX_LINE_BYTES:
            raise FramingError(400, "A line between chunks is too long.")
        return None if end < 0 else end
