"""Protects Locust's page against requests that a browser sends for other web pages.

The page starts tests with the tokens of the command line, so it accepts neither requests of other pages nor another
host for the tokens. Programs, which send no Origin, are accepted: --web-host decides who can reach the port.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from flask import Response, jsonify, make_response, request

from voxpool.loadtest.running._part import Context

DEFAULT_WEB_HOST = "127.0.0.1"
TOKENS = ("client_token", "node_token", "admin_token")
_ELSEWHERE = ("cross-site", "same-site")
"""Sec-Fetch-Site of a request that another page makes."""


def guard_the_page(context: Context) -> None:
    """Let the page refuse requests of other pages, and keep its host when tokens were given."""
    environment = context.environment
    options = environment.parsed_options
    names = _names(options.web_host or "", options.web_host_display_name or "")
    has_tokens = any(getattr(options, name, "") for name in TOKENS)
    pinned = environment.host

    def refusal() -> Response | None:
        why = wrong_host(request.headers.getlist("host"), names)
        if why:
            return _answer(421, why)
        why = wrong_origin(
            request.host,
            request.headers.getlist("origin"),
            request.headers.get("sec-fetch-site", ""),
            request.headers.get("sec-fetch-mode", ""),
        )
        if why:
            return _answer(403, why)
        host = request.form.get("host") if request.method == "POST" else None
        if (
            has_tokens
            and host is not None
            and host.rstrip("/") not in {pinned.rstrip("/"), environment.host.rstrip("/")}
        ):
            return _answer(403, f"tokens were given for {pinned}, so the host is not changed here: start with --host")
        return None

    context.web_ui.app.before_request(refusal)


def wrong_host(hosts: list[str], names: Iterable[str]) -> str:
    """Return why a request with these Host headers is refused, or "".

    An IP address is accepted; a name must be known, because another page could let its name resolve to our address
    (DNS rebinding).
    """
    if len(hosts) != 1:
        return "a request has one Host header"
    name = (urlsplit(f"//{hosts[0]}").hostname or "").rstrip(".") if len(hosts[0]) <= 300 else ""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        if name not in names and not name.endswith(".localhost"):
            return f"Host {hosts[0][:80]!r} is not a name of this page: give it as --web-host"
    return ""


def wrong_origin(host: str, origins: list[str], site: str, mode: str) -> str:
    """Return why a request that a browser sends for a page is refused, or ""."""
    if origins:
        ours = len(origins) == 1 and urlsplit(origins[0]).netloc == host
        return "" if ours else f"Origin {origins[0][:80]!r} is another page's"
    if site in _ELSEWHERE and mode != "navigate":
        return "the browser says that a page from elsewhere asks for this"
    return ""


def _names(*given: str) -> frozenset[str]:
    named = {urlsplit(text if "//" in text else f"//{text}").hostname for text in given if text not in ("", "*")}
    return frozenset({"localhost", socket.gethostname().lower()} | {name.lower() for name in named if name})


def _answer(status: int, why: str) -> Response:
    """Return a refusal in the format that the page's script reads."""
    return make_response(jsonify({"success": False, "message": why}), status)
