"""Measures Gatepost beside the servers it replaces, in one run on one machine: ``make bench``.

What is measured and how, and the last results, stand in docs/benchmarks.md.
"""
