"""Write `web/openapi.json`, from which the page's types are made."""

import json
from pathlib import Path

from sparsepath.server.app import describe

PATH = Path(__file__).parent / "openapi.json"


def openapi() -> str:
    """Describe every route, as the file has it; the version of the product is left out."""
    told = describe()
    told["info"]["version"] = ""
    return json.dumps(told, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    PATH.write_text(openapi(), encoding="utf-8")
