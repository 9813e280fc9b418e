"""The token file and the certificate: read at the start, and again at each SIGHUP."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
from pathlib import Path

from voxpool.scheduler.config import Settings
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.security.authentication import Authentication
from voxpool.scheduler.security.tls import ServerTls
from voxpool.scheduler.security.tokens import read_tokens
from voxpool.scheduler.telemetry.logs.events import Event
from voxpool.scheduler.telemetry.logs.log import Log


class SecretFiles:
    """The files of the settings access_file, tls_cert and tls_key; `tls` is None when these name no certificate.

    Raises ConfigError when a file can't be used. Later, such a file changes nothing: the earlier contents stay valid.
    """

    def __init__(self, settings: Settings, log: Log) -> None:
        self._log = log
        self._token_file = Path(settings.access_file) if settings.access_file else None
        self.authentication = Authentication(None if self._token_file is None else read_tokens(self._token_file))
        self.tls = ServerTls(Path(settings.tls_cert), Path(settings.tls_key)) if settings.tls_cert else None

    def listen(self) -> None:
        """Handle SIGHUP from now on."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.reload)

    def reload(self) -> None:
        """Read them again, and close the connections whose token is gone."""
        if self._token_file is not None:
            try:
                tokens = read_tokens(self._token_file)
                self._log(Event.TOKENS_LOADED, tokens=len(tokens), closed=self.authentication.replace(tokens))
            except ConfigError as error:
                self._log(Event.RELOAD_FAILED, error=str(error))
        if self.tls is not None:
            try:
                self.tls.reload()
                self._log(Event.CERTIFICATE_LOADED)
            except ConfigError as error:
                self._log(Event.RELOAD_FAILED, error=str(error))

    def warn(self, address: str, url: str) -> None:
        """Log a warning when other machines reach `address`, where the scheduler listens, and no tokens are set."""
        if is_of_this_machine(address):
            return
        if self.authentication.open_to_all:
            self._log(Event.OPEN_TO_ALL, url=url)
        if self.tls is None:
            self._log(Event.NOT_ENCRYPTED, url=url)


def is_of_this_machine(address: str) -> bool:
    """Return whether only processes of this machine reach an IP address; 0.0.0.0 and :: mean all its addresses."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback
