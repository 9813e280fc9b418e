"""Texts for a program that gets no answer from a scheduler: what happened, and the likely cause."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from http.client import HTTPException

SHOWN_MAX = 120
_TLS_TO_PLAIN = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNEXPECTED_EOF", "PACKET_LENGTH_TOO_LONG")
"""Reasons of OpenSSL when the other end answers a greeting in TLS with something else, or not at all."""


def trouble(url: str, error: BaseException) -> str:
    """Return one line about `error`, which came instead of an answer from `url`."""
    cause = _cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"{url}: its certificate is not trusted: {cause.verify_message}; give its CA file, or its name"
    if isinstance(cause, ssl.SSLError):
        if cause.reason in _TLS_TO_PLAIN:
            return f"{url}: it does not speak TLS there: write http:// or ws://"
        return f"{url}: TLS failed: {cause.reason or cause}"
    if isinstance(cause, socket.gaierror):
        return f"{url}: there is no such host ({cause.strerror}): check the URL"
    if isinstance(cause, OSError) and cause.errno == errno.ECONNREFUSED:
        return f"{url}: nothing listens there: start `voxpool serve`, or check host and port"
    if isinstance(cause, OSError) and cause.errno:
        return f"{url}: {os.strerror(cause.errno)}"
    if isinstance(cause, TimeoutError):
        return f"{url}: no answer in time"
    if isinstance(error, HTTPException):
        return f"{url}: it does not speak HTTP there ({_shown(error)}); if it wants TLS, write https://"
    return f"{url}: {str(error) or type(error).__name__}"


def _shown(error: BaseException) -> str:
    """Return the text of `error`, which may have bytes of a foreign server, in one line of at most SHOWN_MAX."""
    return "".join(letter if letter.isprintable() else " " for letter in str(error)).strip()[:SHOWN_MAX]


def _cause(error: BaseException) -> BaseException:
    """Return the error of the system behind those that libraries put around it, or `error` itself."""
    seen: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in seen:
        if isinstance(at, OSError):
            return at
        seen.append(at)
        at = at.__cause__ or at.__context__
    return error
