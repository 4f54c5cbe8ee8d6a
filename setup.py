"""Builds the optional extensions; everything else is in pyproject.toml."""

from __future__ import annotations

import platform
import sys
import sysconfig

from setuptools import Extension, setup


def extension(package: str, sources: tuple[str, ...], headers: tuple[str, ...]) -> Extension:
    """Describe the C of one package, in its folder `native`."""
    folder = f"src/wsfleet/{package}/native"
    return Extension(
        f"wsfleet.{package}._speedups",
        sources=[f"{folder}/{name}.c" for name in sources],
        depends=[f"{folder}/{name}.h" for name in headers],
        extra_compile_args=[] if sys.platform == "win32" else ["-O3"],
        optional=True,  # where nothing compiles it, its twin in Python runs
    )


SPEEDUPS = [
    extension("_wire", ("module", "pieces", "decoder", "masking", "offering"), ("speedups",)),
    extension("_client", ("module", "delivery", "json", "waiter"), ("speedups",)),
]
# They know the insides of CPython, and leave the guarding of their state to the GIL.
FITS = platform.python_implementation() == "CPython" and not sysconfig.get_config_var(
    "Py_GIL_DISABLED"
)

setup(ext_modules=SPEEDUPS if FITS else [])
