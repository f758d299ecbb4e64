"""The charting library that is bundled into every report.

It comes with the Python package plotly (extra `train`), which is located but never imported.
"""

import importlib.util
from pathlib import Path

from sparsepath.errors import MissingExtraError


def plotly_source() -> str:
    """Source text of plotly.js.

    Raises:
        MissingExtraError: if the plotly package is not installed.
    """
    spec = importlib.util.find_spec("plotly")
    if spec is None or spec.origin is None:
        raise MissingExtraError(
            "the report needs the Python package plotly, which is not installed", extra="train"
        )
    bundle = Path(spec.origin).parent / "package_data" / "plotly.min.js"
    return bundle.read_text(encoding="utf-8").replace("</script", "<\\/script")
