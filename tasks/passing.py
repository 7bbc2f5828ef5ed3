"""Faults that pass by themselves, so that a stage which failed by one may be tried again."""

import errno
import http.client
import socket
import urllib.error
from collections.abc import Iterator

PASSING = 75  # exit status of a stage that failed by such a fault: EX_TEMPFAIL of sysexits.h
NUMBERS = {
    errno.EAGAIN,
    errno.EBUSY,
    errno.ECONNABORTED,
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.EHOSTUNREACH,
    errno.EINTR,
    errno.EIO,
    errno.EMFILE,
    errno.ENETDOWN,
    errno.ENETRESET,
    errno.ENETUNREACH,
    errno.ENFILE,
    errno.ENOLCK,
    errno.ENOMEM,
    errno.ESTALE,
    errno.ETIMEDOUT,
}
ANSWERS = {408, 425, 429}  # of a web server, beside all from 500 on


def passes(error: BaseException) -> bool:
    """Tell whether a fault, or one that it came from, is of the network or of a busy machine.

    >>> passes(ConnectionResetError()), passes(FileNotFoundError(2, "gone")), passes(ValueError())
    (True, False, False)
    """
    return any(passing(each) for each in chain(error))


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those it was raised from."""
    found: BaseException | None = error
    while found is not None:
        yield found
        reason = getattr(found, "reason", None)  # of urllib's URLError
        found = reason if isinstance(reason, BaseException) else found.__cause__


def passing(error: BaseException) -> bool:
    """Tell whether one error passes by itself."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code >= 500 or error.code in ANSWERS
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN
    if isinstance(error, ConnectionError | TimeoutError | http.client.IncompleteRead):
        return True
    return isinstance(error, OSError) and error.errno in NUMBERS
