"""What gunicorn could not read, as a status and words for who sent it; nothing of what came is repeated."""

from gunicorn.http import errors

_CHUNKS = (
    errors.InvalidChunkSize,
    errors.ChunkMissingTerminator,
    errors.InvalidChunkExtension,
    errors.NoMoreData,
)
# By gunicorn's errors, in the order in which they are looked at.
_FAULTS: tuple[tuple[tuple[type[Exception], ...], int, str], ...] = (
    ((errors.LimitRequestLine,), 414, "The first line of the request is too long."),
    ((errors.LimitRequestHeaders,), 431, "The request has too many headers, or too long ones."),
    ((errors.ExpectationFailed,), 417, "Of expectations, only 100-continue is known here."),
    ((errors.ForbiddenProxyRequest,), 403, "No proxy may speak for others here."),
    ((errors.InvalidHTTPVersion,), 400, "Only HTTP/1.0 and HTTP/1.1 are spoken here."),
    ((errors.InvalidRequestMethod,), 400, "The method is none."),
    ((errors.InvalidRequestLine,), 400, "The first line is not that of an HTTP request."),
    ((errors.InvalidHeaderName,), 400, "The name of a header holds what no name may hold."),
    ((errors.ObsoleteFolding,), 400, "A header goes on in a second line."),
    ((errors.InvalidSchemeHeaders,), 400, "Headers contradict each other about the scheme."),
    ((errors.UnsupportedTransferCoding,), 400, "Of transfer codings, only chunked is known here."),
    ((errors.InvalidHeader,), 400, "A header is malformed, or there are two where one may be."),
    (_CHUNKS, 400, "The chunks of the body are malformed."),
)
UNREADABLE = (errors.ParseException, errors.NoMoreData)


def judge(error: Exception) -> tuple[int, str]:
    """Return the status and the detail that answer a request which gunicorn could not read."""
    for kinds, status, detail in _FAULTS:
        if isinstance(error, kinds):
            return status, detail
    return 400, "This is no HTTP request."
