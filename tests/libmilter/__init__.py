"""libmilter as an oracle: the reference implementation follows what `milters.protocol` follows.

`filter` is a small milter on pymilter, in a process of its own; `oracle` starts it and plays
conversations to it; `ours` plays them to our side; `following` knows where libmilter and we differ.
"""
