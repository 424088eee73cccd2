"""Signing keys: where they live, their life from `new` to `revoked`, and which of them sign.

`lifecycle` has the steps of that life, for the command and for whoever else manages keys. `names`
and `state` are pure; `folder` is the one module that touches key files; `generate` draws random
numbers.
"""
