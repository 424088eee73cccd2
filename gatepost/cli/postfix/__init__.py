"""The Postfix around Gatepost: what its main.cf and master.cf lack, or do against us.

`postconf` reads a Postfix, `check` judges what was read; only the former starts a program.
"""
