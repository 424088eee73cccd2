"""Demonstration in one command: real mail through a private Postfix with Gatepost behind it.

``make demo`` runs ``python -m tools.demo``. `ground` starts the programs. `scenes` send mail and
record it with Postfix's replies and the deliveries. `report` prints the results.
"""
