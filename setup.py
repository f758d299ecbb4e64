"""The native kernels; everything else about the package stands in pyproject.toml.

The library knows nothing of Python, so one wheel of a platform serves every Python 3. Where there
is no compiler, the package installs without it and works more slowly.
"""

import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

IS_WINDOWS = sys.platform == "win32"
FOLDER = "src/sparsepath/kernels/native"


class BuildLibrary(build_ext):
    """Builds a library whose name says nothing of a Python version."""

    def get_ext_filename(self, fullname: str) -> str:
        """Name the file."""
        return str(Path(*fullname.split("."))) + (".dll" if IS_WINDOWS else ".so")

    def get_export_symbols(self, ext: Extension) -> list[str]:
        """Export what the sources mark; there is no module to begin."""
        return list(ext.export_symbols)


class PlatformWheel(bdist_wheel):
    """A wheel for one platform and every Python 3."""

    def get_tag(self) -> tuple[str, str, str]:
        """Give the tag."""
        return ("py3", "none", super().get_tag()[2])


setup(
    cmdclass={"build_ext": BuildLibrary, "bdist_wheel": PlatformWheel},
    ext_modules=[
        Extension(
            "sparsepath.kernels.native._native",
            sources=[
                f"{FOLDER}/{name}.c"
                for name in (
                    "library",
                    "topk",
                    "gather",
                    "whole",
                    "dense",
                    "pool",
                    "split",
                    "vectors",
                    "attention",
                    "past",
                    "decode",
                )
            ],
            depends=[f"{FOLDER}/native.h", f"{FOLDER}/weight.h"],
            extra_compile_args=["/O2"] if IS_WINDOWS else ["-O3", "-fvisibility=hidden"],
            libraries=[] if IS_WINDOWS else ["m", "pthread"],
            optional=True,
        )
    ],
)
