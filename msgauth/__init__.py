"""Mail authentication without I/O: DKIM, SPF, DMARC, ARC and Authentication-Results.

Nothing in here opens a socket, reads a clock or the environment, draws a random number or logs.
What needs DNS is a generator that asks (`msgauth.ask`); what needs the time takes it as argument.
"""
