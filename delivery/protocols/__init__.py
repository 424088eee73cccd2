"""Wire formats: LMTP as server and as client, SPAMC and Rspamd's HTTP.

Octets go in through `receive_data()` and come out as events of `next_event()`. There is no socket,
no clock and no event loop here, and every buffer is bounded.
"""
