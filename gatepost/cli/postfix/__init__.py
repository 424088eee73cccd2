"""Checks of the Postfix that uses Gatepost: missing and harmful settings in main.cf and master.cf.

`postconf` reads a Postfix, `check` judges the settings; only the former starts a program.
"""
