"""The public API as data, read from signatures and docstrings so that it cannot drift."""
