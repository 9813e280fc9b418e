"""The trusted certificates of the SDK for TLS: those of the machine, or those of one file."""

from __future__ import annotations

import ssl
from pathlib import Path

from voxpool.scheduler.errors import ConfigError


def tls_context(ca_file: str | Path | None) -> ssl.SSLContext:
    """Return a context that checks the scheduler's certificate and name. Raises ConfigError for a bad `ca_file`."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"ca_file {ca_file}: {error}; give a PEM file with the certificate to trust") from None
