"""Metrics: one a file, with its protocol in its docstring."""
