"""The scheduler's side of TLS: its certificate and key, from files that may be renewed while it runs."""

from __future__ import annotations

import ssl
from pathlib import Path

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.security.private_file import read_private

ALPN = ["http/1.1"]
KEY_BYTES_MAX = 1024 * 1024


class ServerTls:
    """The certificate at `cert` with its `key`, PEM files; `context` is for the server and stays the same object.

    Raises ConfigError, which names the file that can't be used.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        self._cert = cert
        self._key = key
        self.context = self._read()

    def reload(self) -> None:
        """Read the files again, for connections that come from now on.

        Raises ConfigError when they can't be used; the earlier certificate stays then.
        """
        self._read()  # into another context: a certificate whose key is missing would stay behind in this one
        self._load_into(self.context)

    def _read(self) -> ssl.SSLContext:
        try:
            self._cert.read_bytes()
        except OSError as error:
            raise ConfigError(f"{self._cert}: can't be opened: {error.strerror}") from None
        read_private(self._key, KEY_BYTES_MAX)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)  # TLS 1.2 or newer
        context.set_alpn_protocols(ALPN)
        self._load_into(context)
        return context

    def _load_into(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self._cert, self._key, password=_no_password)
        except OSError as error:  # SSLError is one
            reason = getattr(error, "reason", None) or "no PEM in it"
            raise ConfigError(f"{self._cert}, {self._key}: no certificate with its key: {reason}") from None


def _no_password() -> str:
    """Replaces the question for a password on the terminal: a service can't answer it."""
    return ""
