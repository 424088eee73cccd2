"""Snapshots of the data that the other daemons work with: made when asked for, served over HTTP.

`gatepost.snapshots` has their form, and the daemons' side.
"""
