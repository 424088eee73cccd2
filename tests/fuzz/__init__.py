"""Fuzz tests: many generated inputs for each parser and protocol, repeatable by a seed."""
