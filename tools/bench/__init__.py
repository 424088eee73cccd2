"""Benchmarks of Gatepost and the servers that it replaces, measured together: ``make bench``.

docs/benchmarks.md describes the measurements and contains the last results.
"""
