"""The one-command demonstration: real mail through a private Postfix with Gatepost behind it.

``make demo`` runs ``python -m tools.demo``. `ground` sets the stage, `scenes` play on it and record
what was sent, what Postfix answered and what arrived, `report` shows it.
"""
