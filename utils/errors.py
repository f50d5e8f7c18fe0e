"""Every error that this project raises on purpose, each with the HTTP status it stands for.

    VigiaError                 500
    ├── SettingsError          500  a setting is wrong; names the variable
    ├── SpecError              500  a spec file is wrong; names the place
    ├── IntegrityError         500  stored bytes are not what was signed
    ├── BadRequestError        400  not JSON, wrong encoding
    ├── ForbiddenError         403  known peer, not allowed
    ├── UnauthorizedError      401  no key or a wrong one
    ├── NotFoundError          404
    ├── ConflictError          409
    │   └── InProgressError    409  with seconds after which to try again
    ├── TooLargeError          413
    ├── UnsupportedTypeError   415
    ├── TableError             422  a file of rows cannot be used; says where
    ├── InvalidRowsError       422  with one Fault for each thing that is wrong
    ├── TooManyRequestsError   429  with seconds after which to try again
    └── UnavailableError       503  with seconds after which to try again
        └── SpoolFullError     503  nothing answered would be kept, so nothing is answered

Nothing here knows Flask: ``app.problems`` turns these into problem+json.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class VigiaError(Exception):
    """Base of all; ``detail`` is a sentence for the person who reads the answer."""

    status = 500
    code = "error"
    title = "Internal error"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def summary(self) -> dict[str, str | int]:
        """Return what a program needs to know."""
        return {"status": self.status, "code": self.code, "title": self.title, "detail": self.detail}


class SettingsError(VigiaError):
    """A setting has a value that cannot be used."""

    code = "settings"
    title = "Wrong setting"


class SpecError(VigiaError):
    """A model's spec file cannot be used."""

    code = "spec"
    title = "Wrong spec"


class IntegrityError(VigiaError):
    """Stored bytes differ from what this installation signed."""

    code = "integrity"
    title = "Integrity check failed"


class BadRequestError(VigiaError):
    """The body cannot be read at all."""

    status = 400
    code = "bad_request"
    title = "Bad request"


class UnauthorizedError(VigiaError):
    """No key was given, or an unknown one."""

    status = 401
    code = "unauthorized"
    title = "Unauthorized"


class ForbiddenError(VigiaError):
    """This caller may not do this."""

    status = 403
    code = "forbidden"
    title = "Forbidden"


class NotFoundError(VigiaError):
    """There is no such thing."""

    status = 404
    code = "not_found"
    title = "Not found"


class ConflictError(VigiaError):
    """Somebody else changed it first, or the same key came with another body."""

    status = 409
    code = "conflict"
    title = "Conflict"


class InProgressError(ConflictError):
    """The same is being done just now; ``retry_after_s`` says when to ask for what came out."""

    code = "in_progress"
    title = "In progress"

    def __init__(self, detail: str, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class TooLargeError(VigiaError):
    """More bytes or rows than this service accepts at once."""

    status = 413
    code = "too_large"
    title = "Too large"


class UnsupportedTypeError(VigiaError):
    """The media type of the body is not one that can be read."""

    status = 415
    code = "unsupported_type"
    title = "Unsupported media type"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a request: where (a JSON pointer), what (a code), and what would be right.

    ``field`` is the field of the row, where the pointer does not end with it.
    """

    pointer: str
    code: str
    detail: str
    field: str = ""


class TableError(VigiaError):
    """A table that cannot be used: unreadable, a column is lacking, or a cell is not what the spec says."""

    status = 422
    code = "table"
    title = "Unusable table"


class InvalidRowsError(VigiaError):
    """Rows that the model cannot score; ``faults`` has one entry for each thing that is wrong."""

    status = 422
    code = "invalid_rows"
    title = "Invalid rows"

    def __init__(self, detail: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail)
        self.faults = tuple(faults)


class TooManyRequestsError(VigiaError):
    """This caller asks more often than RATE_LIMIT allows; ``retry_after_s`` says when it may again."""

    status = 429
    code = "rate_limit"
    title = "Too many requests"

    def __init__(self, detail: str, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class UnavailableError(VigiaError):
    """Not now; ``retry_after_s`` says when to try again."""

    status = 503
    code = "unavailable"
    title = "Unavailable"

    def __init__(self, detail: str, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class SpoolFullError(UnavailableError):
    """The local queue cannot keep more, so nothing is answered that would be lost."""

    code = "spool_full"
    title = "Log full"
