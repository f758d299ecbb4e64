"""What is released: the wheel and the sdist are whole, and the wheel alone runs without torch."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from sparsepath.config import GenerateOptions
from sparsepath.kernels.native import ABI
from sparsepath.models.language import fresh_llama, train_byte_tokenizer
from sparsepath.runtime.engine import load_engine
from sparsepath.runtime.export import export_model
from sparsepath.runtime.language.engine import Engine
from sparsepath.version import __version__

ROOT = Path(__file__).parents[2]
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "src")
MAX_BYTES = 250 * 2**20
"""On disk."""

OF_THE_ENVIRONMENT = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-")
"""What a fresh environment has by itself."""

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run outside the checkout and without its environment's settings."""
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist, built from a copy of the sources."""
    folder = tmp_path_factory.mktemp("release")
    ignored = shutil.ignore_patterns("*.egg-info", "__pycache__", "*.so")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    done = run(sys.executable, "-m", "build", "--no-isolation", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "dist"


@pytest.fixture(scope="module")
def bare_environment(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel and nothing but its own dependencies."""
    folder = tmp_path_factory.mktemp("bare") / "env"
    venv.create(folder, with_pip=True)
    wheel = next(dist.glob("*.whl"))
    constraints = ROOT / "constraints.txt"
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "-c", constraints]
    done = run(*pip, wheel, cwd=folder)
    if done.returncode != 0:
        pytest.fail(
            "the base wheel could not be installed; this test needs a package index that pip "
            f"can reach\n{done.stderr}"
        )
    return folder


def test_the_wheel_holds_every_source_file_the_type_marker_and_the_licence(dist: Path) -> None:
    names = set(zipfile.ZipFile(next(dist.glob("*.whl"))).namelist())
    package = ROOT / "src" / "sparsepath"
    wanted = {
        path.relative_to(ROOT / "src").as_posix()
        for path in package.rglob("*")
        if path.is_file() and path.suffix not in {".pyc", ".c", ".h"}
    }
    assert "sparsepath/kernels/native/_native.so" in wanted  # built where a compiler is
    assert wanted <= names, wanted - names
    assert f"sparsepath-{__version__}.dist-info/licenses/LICENSE" in names


def test_the_sdist_can_be_built_from(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        names = archive.getnames()
    for name in ("pyproject.toml", "README.md", "LICENSE", "src/sparsepath/py.typed"):
        assert f"sparsepath-{__version__}/{name}" in names


def test_the_wheel_is_for_one_platform_and_every_python(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    assert "-py3-none-" in wheel.name
    assert not wheel.name.endswith("-any.whl")


def test_the_native_kernels_load_without_torch(bare_environment: Path) -> None:
    script = "from sparsepath.kernels.native import library; print(library().sp_abi())"
    done = run(bare_environment / "bin" / "python", "-c", script, cwd=bare_environment)
    assert done.stdout == f"{ABI}\n", done.stderr


def test_a_language_model_writes_without_torch(bare_environment: Path, tmp_path: Path) -> None:
    fresh_llama(
        vocabulary=300, length=64, d_model=32, n_layers=2, n_heads=4, n_kv_heads=2, d_mlp=48, seed=0
    ).save_pretrained(tmp_path)
    tokenizer = train_byte_tokenizer(iter(["one two three"]), size=300)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    command = [
        bare_environment / "bin" / "sparsepath",
        "generate",
        tmp_path,
        "one",
        "--tokens",
        "9",
    ]
    done = run(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    expected = Engine(tmp_path).generate("one", GenerateOptions(tokens=9))
    assert done.stdout == "".join(expected) + "\n"
    assert "MB of weights read a token" in done.stderr


def test_without_a_compiler_the_package_installs_without_them(dist: Path, tmp_path: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    environment = os.environ | {"CC": "no-such-compiler"}
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--wheel"],
        cwd=source, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    names = zipfile.ZipFile(next((source / "dist").glob("*.whl"))).namelist()
    assert "sparsepath/kernels/native/__init__.py" in names
    assert "sparsepath/kernels/native/_native.so" not in names


def test_the_base_wheel_brings_no_torch(bare_environment: Path) -> None:
    listed = run(bare_environment / "bin" / "pip", "list", cwd=bare_environment).stdout.lower()
    assert "sparsepath" in listed
    for package in ("torch", "transformers", "pyarrow", "scikit-learn"):
        assert f"\n{package} " not in listed


def test_the_base_wheel_and_what_it_brings_fit_an_old_server(bare_environment: Path) -> None:
    (packages,) = bare_environment.glob("lib/python*/site-packages")
    sizes = {
        item.name: sum(path.stat().st_size for path in [item, *item.rglob("*")] if path.is_file())
        for item in packages.iterdir()
        if not item.name.startswith(OF_THE_ENVIRONMENT)
    }
    assert sum(sizes.values()) <= MAX_BYTES, sorted(sizes.items(), key=lambda item: -item[1])[:20]


def test_the_base_wheel_alone_serves_and_keeps_its_log(
    bare_environment: Path, model_folder: Path, tmp_path: Path
) -> None:
    exported = export_model(model_folder, to="onnx", out=tmp_path / "exported")
    program = str(bare_environment / "bin" / "sparsepath")
    command = [program, "serve", str(exported), "--port", "0"]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        address = process.stderr.readline().split()[-1]
        body = json.dumps({"text": "a good day"}).encode()
        asked = Request(
            f"{address}/api/v1/classify", body, headers={"Content-Type": "application/json"}
        )
        with urlopen(asked, timeout=20) as reply:
            (answer,) = json.load(reply)["answers"]
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0
    expected = load_engine(exported).predict_one("a good day")
    assert answer["probability"] == pytest.approx(float(expected.max()), abs=1e-5)
    checked = run(program, "audit", "verify", cwd=tmp_path)
    assert checked.stdout.startswith("3 records"), checked.stderr


def test_the_base_wheel_alone_prints_help_and_examines_the_machine(bare_environment: Path) -> None:
    program = bare_environment / "bin" / "sparsepath"
    shown = run(program, "--help", cwd=bare_environment)
    assert shown.returncode == 0, shown.stderr
    assert "predict" in shown.stdout
    examined = run(program, "doctor", cwd=bare_environment)
    assert examined.returncode == 0, examined.stderr
    assert "pip install 'sparsepath[train]'" in examined.stdout


def test_the_base_wheel_alone_names_the_extra_that_the_poc_needs(bare_environment: Path) -> None:
    done = run(bare_environment / "bin" / "sparsepath", "poc", "demo", cwd=bare_environment)
    assert done.returncode == 1
    assert "fix: pip install 'sparsepath[train]'" in done.stderr


def test_the_base_wheel_alone_predicts_with_an_exported_model(
    bare_environment: Path, model_folder: Path, tmp_path: Path
) -> None:
    exported = export_model(model_folder, to="onnx", out=tmp_path / "exported")
    (tmp_path / "new.csv").write_text("text\na good day\na very bad day\n")
    program = bare_environment / "bin" / "sparsepath"
    done = run(program, "predict", exported, "new.csv", "-o", "out.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = (tmp_path / "out.csv").read_text().splitlines()
    expected = load_engine(exported).predict(["a good day", "a very bad day"])
    for line, probabilities in zip(rows[1:], expected, strict=True):
        _, label, probability = line.split(",")
        assert label == ["left", "right"][probabilities.argmax()]
        assert float(probability) == pytest.approx(float(probabilities.max()), abs=1e-5)
