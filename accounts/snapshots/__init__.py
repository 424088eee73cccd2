"""Snapshots of the data that the other daemons use, made on request and served over HTTP.

`gatepost.snapshots` has their form, and the daemons' side.
"""
