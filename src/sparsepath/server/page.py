"""The web page: files that were built from `web/`, read once, served with a strict policy.

The page is the same for everybody and holds no data; what it shows it asks of `/api/v1`, with the
visitor's key where one is needed. So it needs no key itself.
"""

import gzip
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

from fastapi import APIRouter, Request, Response

from sparsepath.server.problems import Problem

GOVERN: Final = (
    "/govern",
    "/govern/policies",
    "/govern/review",
    "/govern/rollout",
    "/govern/drift",
    "/govern/audit",
    "/govern/report",
    "/govern/keys",
)
"""Addresses of the screen *Govern*, one a question."""

SCREENS: Final = ("/", "/poc", "/pathways", "/why", "/neurons", "/steer", "/train", *GOVERN)
"""Addresses of screens; all get the same document."""

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
"""Nothing from elsewhere, nothing inline, and no text becomes markup."""

_KINDS: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}

_FOREVER: Final = "public, max-age=31536000, immutable"

router = APIRouter(include_in_schema=False)


class File(NamedTuple):
    """A file of the page."""

    content: bytes
    packed: bytes
    """The same, compressed."""
    kind: str


@cache
def files() -> dict[str, File]:
    """Read the page's files, by their addresses; `assets/` have names that change with them."""
    folder = resources.files("sparsepath.server") / "page"
    found = {}
    for place, prefix in ((folder, ""), (folder / "assets", "assets/")):
        for item in place.iterdir() if place.is_dir() else ():
            kind = _KINDS.get(f".{item.name.rpartition('.')[2]}")
            if item.is_file() and kind is not None:
                content = item.read_bytes()
                packed = gzip.compress(content, mtime=0)
                found[prefix + item.name] = File(content, packed, kind)
    return found


async def screen(request: Request) -> Response:
    """Give the document; the address says which screen it shows."""
    return _reply(request, "index.html", "no-cache")


for _path in SCREENS:
    router.add_api_route(_path, screen, methods=["GET"])


@router.get("/assets/{name}")
async def asset(name: str, request: Request) -> Response:
    """Give a file whose name changes with its content."""
    return _reply(request, f"assets/{name}", _FOREVER)


@router.get("/icon.svg")
async def icon(request: Request) -> Response:
    """Give the icon."""
    return _reply(request, "icon.svg", "max-age=86400")


def _reply(request: Request, name: str, caching: str) -> Response:
    """Give a file, compressed where that is understood.

    Raises:
        Problem: if there is none of that name.
    """
    file = files().get(name)
    if file is None:
        raise Problem(404, "http", "Not Found", fix="open / for the page")
    headers = {
        "Cache-Control": caching,
        "Content-Security-Policy": POLICY,
        "Vary": "Accept-Encoding",
    }
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(file.packed, media_type=file.kind, headers=headers)
    return Response(file.content, media_type=file.kind, headers=headers)
