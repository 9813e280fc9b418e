"""Addresses of stores that are more than one server: a Redis Cluster, or a primary that Sentinels know. Pure.

    redis+cluster://[USER:PASSWORD@]HOST:PORT,HOST:PORT…[?OPTIONS]
    redis+sentinel://[USER:PASSWORD@]HOST:PORT,HOST:PORT…/NAME[/DB][?sentinel_password=…&OPTIONS]

rediss+… is the same with TLS. User, password and options are those of the data's servers, as in a redis:// URL.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.stores.shown import without_password

ONE, CLUSTER, SENTINEL = "one", "cluster", "sentinel"
SENTINEL_PORT = 26379
PORT = 6379
_FORM = re.compile(r"(rediss?)\+(cluster|sentinel)://(?:([^/@]*)@)?([^/?@]+)(?:/([^?]*))?(?:\?(.*))?", re.DOTALL)
_HOST = re.compile(r"(\[[^\]]+\]|[^:\[\]]+)(?::(\d{1,5}))?")
_FORMS = "redis+cluster://HOST:PORT,HOST:PORT or redis+sentinel://HOST:PORT,HOST:PORT/NAME"


class Host(NamedTuple):
    """A server's name or address, and its port."""

    host: str
    port: int


class Address(NamedTuple):
    """A parsed address."""

    kind: str
    hosts: tuple[Host, ...]
    """Nodes of the cluster, or Sentinels; empty for one server."""
    url: str
    """The whole address, with its password."""
    scheme: str = ""
    login: str = ""
    """USER:PASSWORD of the data's servers."""
    name: str = ""
    """What the Sentinels call the primary."""
    db: str = "0"
    options: str = ""
    sentinel_login: str = ""

    def url_of(self, host: Host) -> str:
        """Return the URL of a server of the data."""
        return self._url(host, self.login, f"/{self.db}")

    def sentinel_url(self, host: Host) -> str:
        """Return the URL of a Sentinel."""
        return self._url(host, self.sentinel_login, "")

    def _url(self, host: Host, login: str, path: str) -> str:
        name = f"[{host.host}]" if ":" in host.host else host.host
        login = f"{login}@" if login else ""
        options = f"?{self.options}" if self.options else ""
        return f"{self.scheme}://{login}{name}:{host.port}{path}{options}"


def address_of(url: str) -> Address:
    """Return what `url` names; a URL of one server is not examined. Raises ConfigError."""
    if "+" not in url.partition("://")[0]:
        return Address(ONE, (), url)
    found = _FORM.fullmatch(url)
    if found is None:
        raise _refusal(url, "it can't be read")
    scheme, kind, login, hosts, path, query = (part or "" for part in found.groups())
    name, _, db = path.partition("/")
    options = dict(parse_qsl(query, keep_blank_values=True))
    user, password = options.pop("sentinel_username", ""), options.pop("sentinel_password", "")
    port = PORT if kind == CLUSTER else SENTINEL_PORT
    if kind == SENTINEL and not name:
        raise _refusal(url, "the name of the primary is missing")
    if kind == CLUSTER and path not in ("", "0"):
        raise _refusal(url, "a cluster has no databases")
    if not db.isdecimal() and db:
        raise _refusal(url, f"{db!r} is no number of a database")
    return Address(
        kind,
        tuple(_host_of(one, port, url) for one in hosts.split(",")),
        url,
        scheme,
        login,
        name,
        db or "0",
        urlencode(options),
        f"{quote(user, '')}:{quote(password, '')}" if user or password else "",
    )


def _host_of(text: str, port: int, url: str) -> Host:
    found = _HOST.fullmatch(text.strip())
    if found is None or int(found[2] or port) > 65535:
        raise _refusal(url, f"{text!r} is no HOST:PORT")
    return Host(found[1].strip("[]"), int(found[2] or port))


def _refusal(url: str, why: str) -> ConfigError:
    return ConfigError(f"store = {without_password(url)!r}: {why}; write {_FORMS}")
