"""The doors /openapi.json and /docs: the document of HTTP, for programs and, as one plain page, for people."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from voxpool.scheduler.web.assets import SECURITY_HEADERS
from voxpool.scheduler.web.openapi.curl import TOKEN, curl_of


class DocsDoor:
    """Both are made once, from `document`."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._json = msgspec.json.encode(document)
        self._page = page(document).encode()

    def routes(self) -> list[BaseRoute]:
        """Return the routes of this door."""
        return [
            Route("/openapi.json", self.document, methods=["GET"]),
            Route("/docs", self.docs, methods=["GET"]),
        ]

    async def document(self, request: Request) -> Response:
        """Answer with the document."""
        return Response(self._json, media_type="application/json")

    async def docs(self, request: Request) -> Response:
        """Answer with the page."""
        return Response(self._page, headers={"content-type": "text/html; charset=utf-8", **SECURITY_HEADERS})


def page(document: dict[str, Any]) -> str:
    """Return `document` as a page of HTML without scripts."""
    operations = [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    index = "\n".join(
        f'<li><a href="#{operation["operationId"]}"><code>{method.upper()} {escape(path)}</code></a> '
        f"{_text(operation['summary'])}</li>"
        for method, path, operation in operations
    )
    records = "\n".join(_record(name, schema) for name, schema in sorted(document["components"]["schemas"].items()))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>voxpool: HTTP</title>
<link rel="icon" href="/assets/common/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/docs/style.css">
</head>
<body>
<main>
<nav aria-label="Pages"><a href="/">Dashboard</a> <a href="/try">Try it</a></nav>
<h1>voxpool {escape(document["info"]["version"])}: HTTP</h1>
<p>{_text(document["info"]["description"])} For programs: <a href="/openapi.json">openapi.json</a>.</p>
{_how_to_ask("securitySchemes" in document["components"])}
<nav aria-label="Operations"><ul>
{index}
</ul></nav>
{"".join(_operation(*operation) for operation in operations)}
<h2>Records</h2>
{records}
</main>
</body>
</html>
"""


def _how_to_ask(is_secured: bool) -> str:
    """Return what the curl commands of the page need: the address, and the token where the scheduler has tokens."""
    lines = ["export VOXPOOL_URL=http://127.0.0.1:5010"]
    if is_secured:
        lines.append("read -r VOXPOOL_TOKEN && export VOXPOOL_TOKEN")
        token = (
            f"A request gives its token in a header, <code>{escape(TOKEN)}</code>; an admin makes one with "
            "<code>voxpool token</code>. Each operation names the roles that it is for."
        )
    else:
        token = (
            "This scheduler has no tokens: everybody who reaches it may do everything. Started with "
            f"<code>--access-file</code> it asks each request for one in a header, <code>{escape(TOKEN)}</code>."
        )
    return f'<h2 id="how">Requests with curl</h2>\n<p>{token}</p>\n{_command(chr(10).join(lines))}'


def _command(text: str) -> str:
    return f"<pre><code>{escape(text)}</code></pre>"


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parts = [
        f'<section id="{operation["operationId"]}">',
        f"<h2><code>{method.upper()} {escape(path)}</code></h2>",
        f"<p>{_text(operation['description'])}</p>",
        _command(curl_of(method, path, operation)),
    ]
    if "parameters" in operation:
        named = [
            (parameter["name"], parameter["in"], _kind(parameter["schema"]), _text(parameter["description"]))
            for parameter in operation["parameters"]
        ]
        parts.append(_table("Parameters", ("name", "in", "value", "meaning"), named))
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]
        bodies = [(media_type, _kind(kind["schema"])) for media_type, kind in content.items()]
        parts.append(_table("Body", ("Content-Type", "value"), bodies))
    answers = [(status, _content(answer), _text(answer["description"])) for status, answer in _sorted(operation)]
    parts.append(_table("Answers", ("status", "body", "meaning"), answers))
    parts.append("</section>\n")
    return "\n".join(parts)


def _sorted(operation: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return sorted(operation["responses"].items())


def _content(answer: dict[str, Any]) -> str:
    kinds = []
    for media_type, kind in answer.get("content", {}).items():
        shown = _kind(kind["schema"])
        kinds.append(f"{shown} <small>{escape(media_type)}</small>")
    return "<br>".join(kinds)


def _record(name: str, schema: dict[str, Any]) -> str:
    rows = [
        (field, _kind(kind), "yes" if field in schema.get("required", []) else "no")
        for field, kind in schema.get("properties", {}).items()
    ]
    title = f'<h3 id="record-{escape(name)}">{escape(name)}</h3>\n<p>{_text(schema.get("description", ""))}</p>\n'
    return title + _table(name, ("field", "value", "needed"), rows)


def _table(caption: str, heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table; the first cell of each row is text, the others are HTML already."""
    head = "".join(f'<th scope="col">{word}</th>' for word in heads)
    body = "\n".join(
        f'<tr><th scope="row"><code>{escape(first)}</code></th>'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
        for first, *cells in rows
    )
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"


def _kind(schema: dict[str, Any]) -> str:
    """Return in a few words what a value may be."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rsplit("/", 1)[1])
        return f'<a href="#record-{name}">{name}</a>'
    if "enum" in schema:
        return escape(" | ".join(str(word) for word in schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(_kind(choice) for choice in schema["anyOf"])
    if "allOf" in schema:
        return " ".join(_kind(part) for part in schema["allOf"] if "$ref" in part)
    if schema.get("type") == "array" and "items" in schema:
        return f"list of {_kind(schema['items'])}" if schema["items"] else "list"
    words = [str(schema.get("contentMediaType") or schema.get("type", "any JSON"))]
    if "minimum" in schema:
        words.append(f"from {schema['minimum']}" + (f" to {schema['maximum']}" if "maximum" in schema else ""))
    if "pattern" in schema:
        words.append(f"<code>{escape(schema['pattern'])}</code>")
    if "properties" in schema:
        words.append("with " + ", ".join(f"<code>{escape(name)}</code>" for name in schema["properties"]))
    return " ".join(words)


def _text(text: str) -> str:
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if number % 2 else piece for number, piece in enumerate(pieces))
