"""The same engine behind LitServe and behind MLflow's model server; run by the peers' own Python.

python benchmarks/_peers.py litserve MODEL PORT
python benchmarks/_peers.py mlflow MODEL PORT
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

if sys.argv[1:2] == ["litserve"]:  # its workers import this file anew, and need the class
    import litserve as ls

    class Api(ls.LitAPI):
        """The engine, asked for batches."""

        def setup(self, device: str) -> None:
            """Load the model."""
            from sparsepath.runtime.engine import load_engine

            self.engine = load_engine(Path(sys.argv[2]))

        def decode_request(self, request: dict[str, str]) -> str:
            """Read a request."""
            return request["text"]

        def predict(self, texts: list[str]) -> list[list[float]]:
            """Answer a batch."""
            return [row.tolist() for row in self.engine.answer(texts, 32).probabilities]

        def encode_response(self, output: list[float]) -> dict[str, list[float]]:
            """Write an answer."""
            return {"probabilities": output}


def litserve(_model: str, port: int) -> None:
    """Serve with LitServe, in batches as large as ours."""
    api = Api(max_batch_size=32, batch_timeout=0.001)
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=1, track_requests=False)
    server.run(host="127.0.0.1", port=port, generate_client_file=False, log_level="warning")


def mlflow(model: str, port: int) -> None:
    """Save a model of MLflow that holds the engine, and serve it."""
    import mlflow.pyfunc

    class Model(mlflow.pyfunc.PythonModel):
        def load_context(self, context: object) -> None:
            from sparsepath.runtime.engine import load_engine

            # Where it lies: a cascade's parts are beside its own folder, and not copied with it.
            self.engine = load_engine(Path(model))

        def predict(
            self, context: object, model_input: Any, params: dict[str, Any] | None = None
        ) -> Any:
            texts = [str(text) for text in model_input["text"]]
            return self.engine.answer(texts, 32).probabilities

    with tempfile.TemporaryDirectory() as place:
        mlflow.pyfunc.save_model(
            f"{place}/model",
            python_model=Model(),
            pip_requirements=[],
        )
        words = ["models", "serve", "-m", f"{place}/model", "-h", "127.0.0.1", "-p", str(port)]
        command = [sys.executable, "-m", "mlflow", *words, "--env-manager", "local"]
        subprocess.run([*command, "--workers", "1"], check=True)


if __name__ == "__main__":
    {"litserve": litserve, "mlflow": mlflow}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
