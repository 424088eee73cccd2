"""The wire formats of those who ask accounts: octets in and requests out, and back.

Each connection is a `gatepost.conversation.Conversation`: no socket, no clock, no database. Buffers
are bounded for any input. A failure is always a temporary error on the wire and never "not found".
"""
