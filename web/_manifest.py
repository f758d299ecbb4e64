"""Say from which sources the page in the package was built; `make web` writes it, a test reads it.

Line ends are made plain first, so that a checkout on another system has the same hash.
"""

import hashlib
import json
from pathlib import Path

WEB = Path(__file__).parent
PAGE = WEB.parent / "src" / "sparsepath" / "server" / "page"
MANIFEST = PAGE / "manifest.json"
FILES = ("index.html", "openapi.json", "package-lock.json", "tsconfig.json", "vite.config.ts")
FOLDERS = ("src", "public")


def sources_sha256() -> str:
    """Hash everything that the page is built from, by name and content."""
    paths = [WEB / name for name in FILES]
    paths += [path for name in FOLDERS for path in (WEB / name).rglob("*") if path.is_file()]
    return _hash(WEB, paths)


def built_sha256() -> str:
    """Hash what was built."""
    paths = [path for path in PAGE.rglob("*") if path.is_file() and path != MANIFEST]
    return _hash(PAGE, paths)


def _hash(root: Path, paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths, key=lambda item: item.relative_to(root).as_posix()):
        content = path.read_bytes().replace(b"\r\n", b"\n")
        name = path.relative_to(root).as_posix()
        digest.update(f"{name}:{len(content)}:".encode() + content)
    return digest.hexdigest()


if __name__ == "__main__":
    told = {"sources_sha256": sources_sha256(), "built_sha256": built_sha256()}
    MANIFEST.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
