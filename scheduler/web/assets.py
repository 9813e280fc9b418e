"""The files for browsers: pages, styles and scripts, all that come with this package, read once at the start.

All of them are our own and there is no build step. The Content-Security-Policy lets a page load and connect to nothing
but this scheduler, and lets no other page frame it, so that text from outside can't become a script.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

FOLDER = Path(__file__).parent / "assets"

PAGES: dict[str, str] = {
    "/": "dashboard/index.html",
    "/try": "try/index.html",
}
"""Path of a page -> its file under assets/."""

_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

FILES: tuple[str, ...] = tuple(
    sorted(
        path.relative_to(FOLDER).as_posix()
        for path in FOLDER.rglob("*")
        if path.suffix in _MEDIA_TYPES and path.suffix != ".html"
    )
)
"""What pages load: the files that come with this package, as FOLDER/FILE, each served by that name under /assets/."""
FILES_PATH = "/assets/{folder}/{file}"

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; connect-src 'self'; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(self)",
}


class Asset:
    """One file as a door: GET answers with it, or with 304 when the browser has it already."""

    def __init__(self, file: str) -> None:
        self.content = (FOLDER / file).read_bytes()
        self.headers = {
            "content-type": _MEDIA_TYPES[Path(file).suffix],
            "etag": f'"{hashlib.sha256(self.content).hexdigest()[:24]}"',
            "cache-control": "no-cache",  # browsers revalidate it each time: a new version shows at once
            **SECURITY_HEADERS,
        }

    async def __call__(self, request: Request) -> Response:
        """Answer."""
        known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
        if self.headers["etag"] in known:
            return Response(status_code=304, headers=self.headers)
        return Response(self.content, headers=self.headers)


def media_type_of(file: str) -> str:
    """Return the media type of a file, without its parameters."""
    return _MEDIA_TYPES[Path(file).suffix].split(";")[0]


class Assets:
    """The door of what pages load: each of FILES by its folder and name."""

    def __init__(self) -> None:
        self._assets = {file: Asset(file) for file in FILES}

    async def __call__(self, request: Request) -> Response:
        """Answer. Raises HTTPException where there is no such file."""
        asset = self._assets.get("{folder}/{file}".format(**request.path_params))
        if asset is None:
            raise HTTPException(404)
        return await asset(request)


def asset_routes() -> list[BaseRoute]:
    """Return a route for each page, and one for what they load."""
    pages = [Route(path, Asset(file).__call__, methods=["GET"]) for path, file in PAGES.items()]
    return [*pages, Route(FILES_PATH, Assets().__call__, methods=["GET"])]
