"""Which pages may talk to this scheduler through the browser of somebody who looks at them.

A browser sends requests and opens WebSockets for any page, and says which page it was: in Origin, and in Sec-Fetch-*
where there is no Origin. Programs say neither, and are let through. What a request is about is not known here.
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

    A scheduler that listens on `host`, an address of this machine only, takes no other name for itself than those of
    this machine and of `allowed`: else a page could give its own name our address (DNS rebinding).
    """

    def __init__(self, host: str, allowed: Iterable[str] = ()) -> None:
        self.allowed = frozenset(allowed)
        self._hosts = frozenset(urlsplit(origin).netloc for origin in self.allowed)
        self._is_local = is_loopback(host)

    def wrong(self, headers: Headers, is_page: bool) -> tuple[str, str] | None:
        """Return why a request with these headers is refused (reason, detail), or None.

        `is_page` when it asks for a page to look at, to which other pages may have a link.
        """
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) > 1:
            return BAD_HOST, "a request has one Host header"
        if hosts and self._is_local and not self._is_ours(hosts[0]):
            detail = f"Host {hosts[0][:80]!r} is no name of this scheduler, which listens on this machine only"
            return BAD_HOST, f"{detail}; if it is one, add it to the setting origins"
        if origins:
            if len(origins) == 1 and (origins[0] in self.allowed or _same(origins[0], hosts)):
                return None
            return BAD_ORIGIN, f"Origin {origins[0][:80]!r} is another page's; if it may, add it to the setting origins"
        if headers.get("sec-fetch-site") in _ELSEWHERE:
            if is_page and headers.get("sec-fetch-mode") == "navigate":
                return None
            return BAD_ORIGIN, "the browser says that a page from elsewhere asks for this"
        return None

    def _is_ours(self, host: str) -> bool:
        return len(host) <= HOST_CHARACTERS_MAX and (is_loopback(_name(host)) or host.lower() in self._hosts)


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
