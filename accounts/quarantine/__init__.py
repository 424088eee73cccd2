"""Quarantine as accounts shows it: the mail of all holders together, and a safe view of each."""
