"""Builds the optional extension; everything else is in pyproject.toml."""

from __future__ import annotations

import platform
import sys
import sysconfig

from setuptools import Extension, setup

NATIVE = "src/wsfleet/_wire/native"
SPEEDUPS = Extension(
    "wsfleet._wire._speedups",
    sources=[f"{NATIVE}/{name}.c" for name in ("module", "pieces", "decoder", "masking")],
    depends=[f"{NATIVE}/speedups.h"],
    extra_compile_args=[] if sys.platform == "win32" else ["-O3"],
    optional=True,  # where nothing compiles it, the codec is its twin in Python
)
# It knows the insides of CPython, and leaves the guarding of its state to the GIL.
FITS = platform.python_implementation() == "CPython" and not sysconfig.get_config_var(
    "Py_GIL_DISABLED"
)

setup(ext_modules=[SPEEDUPS] if FITS else [])
