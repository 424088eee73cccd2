"""Signing keys: their storage, their life from `new` to `revoked`, and the choice of those that
sign.

`lifecycle` has the steps of that life, for the command and other callers. `names` and `state` are
pure; `folder` is the one module that touches key files; `gatepost.key_pair` draws random numbers.
"""
