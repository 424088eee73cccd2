"""Wire formats of the clients of accounts: octets in and requests out, and back.

Each connection is a `gatepost.conversation.Conversation`, without socket, clock and database.
Buffers are bounded for any input. A failure is always a temporary error on the wire and never "not
found".
"""
