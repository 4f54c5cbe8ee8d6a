"""Builds the optional extension; everything else is in pyproject.toml."""

from __future__ import annotations

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "wsfleet._wire._speedups",
            sources=["src/wsfleet/_wire/_speedups.c"],
            extra_compile_args=["-O3"],
            optional=True,  # where nothing compiles it, the codec is its twin in Python
        )
    ]
)
