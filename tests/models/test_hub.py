"""Models come from a hub: a server that speaks its protocol on loopback, and the real client."""

import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from tests import warm

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONFIG = {"bert": {"model_type": "bert"}, "gpt": {"model_type": "gpt2"}}
WEIGHTS = b"weights" * 1000


def sha(content: bytes) -> str:
    """Name a content as the hub does."""
    return hashlib.sha1(content).hexdigest()


class Hub(BaseHTTPRequestHandler):
    """Two public models; one of them is of no known family."""

    asked: list[str]
    is_broken = False

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        self.asked.append(path)
        parts = path.strip("/").split("/")
        if parts[4:5] == ["tree"]:
            self.list_files(parts[3])
        elif parts[:2] == ["api", "models"] and parts[2:4] in (["org", "bert"], ["org", "gpt"]):
            self.tell(parts[3])
        elif parts[2:3] == ["resolve"] and parts[0] == "org":
            self.give(self.content(parts[1], "/".join(parts[4:])))
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def content(self, model: str, name: str) -> bytes:
        return WEIGHTS if name.endswith("safetensors") else json.dumps(CONFIG[model]).encode()

    def list_files(self, model: str) -> None:
        files = [
            {"type": "file", "path": name, "size": len(content), "oid": sha(content)}
            for name in ("config.json", "model.safetensors")
            if (content := self.content(model, name))
        ]
        self.give(json.dumps(files).encode())

    def tell(self, model: str) -> None:
        files = [{"rfilename": name} for name in ("config.json", "model.safetensors")]
        facts = {"id": f"org/{model}", "sha": COMMIT, "siblings": files, "private": False}
        self.give(json.dumps(facts).encode())

    def give(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{sha(content)}"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[: len(content) // 2] if self.is_cut() else content)

    def is_cut(self) -> bool:
        return self.is_broken and self.path.endswith("safetensors")

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def hub() -> Iterator[tuple[str, type[Hub]]]:
    """Its address, and what it was asked."""
    handler = type("OneHub", (Hub,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", handler
        server.shutdown()
        thread.join()


def find(name: str, address: str, home: Path) -> str:
    """Find a model in a process where the client is imported anew: it reads its settings once."""
    told = {"HF_ENDPOINT": address, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"}
    script = (
        "import sys\n"
        "mine = 'huggingface_hub', 'sparsepath.models.sources'\n"
        "for name in list(sys.modules):\n"
        "    if name.startswith(mine): del sys.modules[name]\n"
        "from sparsepath.errors import ModelError\n"
        "from sparsepath.models.sources import find_model\n"
        "try: print(*find_model(sys.argv[1]), sep='|')\n"
        "except ModelError as error: print('refused:', error)\n"
    )
    done = warm.run(["-c", script, name], environment=told | {"HF_HUB_DISABLE_XET": "1"})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_model_is_fetched_once_and_found_without_the_hub_afterwards(
    hub: tuple[str, type[Hub]], tmp_path: Path
) -> None:
    address, handler = hub
    path, origin = find("org/bert", address, tmp_path).split("|")
    assert origin == "Hugging Face hub, org/bert"
    assert (Path(path) / "model.safetensors").read_bytes() == WEIGHTS
    handler.asked.clear()
    again, origin = find("org/bert", "http://127.0.0.1:9", tmp_path).split("|")
    assert (again, origin) == (path, "Hugging Face cache, org/bert")
    assert handler.asked == []


def test_weights_of_an_unknown_family_are_never_fetched(
    hub: tuple[str, type[Hub]], tmp_path: Path
) -> None:
    address, handler = hub
    said = find("org/gpt", address, tmp_path)
    assert said.startswith("refused: org/gpt has architecture 'gpt2'")
    assert not [path for path in handler.asked if path.endswith("safetensors")]


def test_a_model_that_the_hub_does_not_have_is_said_so(
    hub: tuple[str, type[Hub]], tmp_path: Path
) -> None:
    said = find("org/nothing", hub[0], tmp_path)
    assert said.startswith("refused: the Hugging Face hub has no public model org/nothing")


def test_a_download_that_breaks_off_is_said_and_not_taken_for_a_model(
    hub: tuple[str, type[Hub]], tmp_path: Path
) -> None:
    address, handler = hub
    handler.is_broken = True
    assert find("org/bert", address, tmp_path).startswith("refused: org/bert cannot be fetched")
    handler.is_broken = False
    path, _ = find("org/bert", address, tmp_path).split("|")
    assert (Path(path) / "model.safetensors").read_bytes() == WEIGHTS
