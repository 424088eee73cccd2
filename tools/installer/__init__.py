"""Puts on this machine what the project's own targets need. Standard library only.

``python3 -m tools.installer --for demo`` is what ``make demo`` starts with; it runs before there is
a virtual environment, with whatever python3 the machine has.
"""
