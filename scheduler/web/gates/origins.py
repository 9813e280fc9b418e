"""Which pages may use this scheduler through the browser of their viewer.

A browser sends requests and opens WebSockets for any page, and names the page in Origin, or in Sec-Fetch-* where there
is no Origin. Programs send neither and are accepted. The contents of a request are not known here.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers

BAD_HOST = "bad_host"
BAD_ORIGIN = "bad_origin"
HOST_CHARACTERS_MAX = 300
"""A name of DNS has at most 253 (RFC 1035), then comes a port."""
_PORTS = {"http": "80", "https": "443"}
_ELSEWHERE = ("cross-site", "same-site")
"""Sec-Fetch-Site of a page that is not from this scheduler."""


class Origins:
    """The pages of this scheduler itself and those of `allowed`, origins such as https://speech.example.org.

    A page could give its own name our address (DNS rebinding) and then is of our origin. Without tokens
    (`open_to_all`), and on a `host` that is an address of this machine only, Host must be a name of this scheduler: one
    of this machine, the address that was connected to, one of `hosts` or of `allowed`.
    """

    def __init__(
        self, host: str, allowed: Iterable[str] = (), hosts: Iterable[str] = (), open_to_all: bool = False
    ) -> None:
        self.allowed = frozenset(allowed)
        self._hosts = frozenset(hosts)
        self._netlocs = frozenset(urlsplit(origin).netloc for origin in self.allowed)
        self._checks_host = open_to_all or is_loopback(host)

    def wrong(self, headers: Headers, is_page: bool, here: str = "") -> tuple[str, str] | None:
        """Return why a request with these headers is refused (reason, detail), or None.

        `is_page` when it asks for a page to look at, to which other pages may have a link; `here` is the address that
        was connected to.
        """
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if hosts and self._checks_host and not self._is_ours(hosts[0], here):
            detail = f"Host {hosts[0][:80]!r} is no name of this scheduler"
            return BAD_HOST, f"{detail}; if it is one, add it to the setting hosts, or set tokens (voxpool token)"
        if origins:
            if len(origins) == 1 and (origins[0] in self.allowed or _same(origins[0], hosts)):
                return None
            return (
                BAD_ORIGIN,
                f"Origin {origins[0][:80]!r} is another page's; to allow it, add it to the setting origins",
            )
        if headers.get("sec-fetch-site") in _ELSEWHERE:
            if is_page and headers.get("sec-fetch-mode") == "navigate":
                return None
            return BAD_ORIGIN, "by the browser's headers a page from elsewhere asks for this"
        return None

    def _is_ours(self, host: str, here: str) -> bool:
        if len(host) > HOST_CHARACTERS_MAX:
            return False
        name = _name(host)
        return is_loopback(name) or name.lower() in self._hosts or host.lower() in self._netlocs or _is_same(name, here)


@functools.lru_cache(maxsize=128)  # each request asks, and to parse an address takes 4 us
def is_loopback(name: str) -> bool:
    """Return whether a host name or address means this machine only, whatever a name server says (RFC 6761, 6.3)."""
    name = name.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


@functools.lru_cache(maxsize=128)
def _is_same(name: str, address: str) -> bool:
    """Return whether `name` is an address written out, and the same as `address`."""
    try:
        one, other = (ipaddress.ip_address(text.partition("%")[0]) for text in (name, address))
    except ValueError:
        return False
    mapped = other.ipv4_mapped if isinstance(other, ipaddress.IPv6Address) else None
    return one in (other, mapped)


def _name(host: str) -> str:
    """Return a Host header without its port, and an address of IPv6 without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def _same(origin: str, hosts: list[str]) -> bool:
    """Return whether the page comes from where the request goes; behind a proxy only the scheme may differ."""
    scheme, separator, netloc = origin.lower().partition("://")
    if not separator or scheme not in _PORTS or not hosts:
        return False
    suffix = f":{_PORTS[scheme]}"
    return netloc.removesuffix(suffix) == hosts[0].lower().removesuffix(suffix)
