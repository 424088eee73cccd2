"""Our side of the milter protocol: bytes in, events out, and back. No socket, no clock.

Postfix and Sendmail speak version 6. The protocol has no RFC: Sendmail's include/libmilter/mfdef.h
and mfapi.h define it. A packet consists of a length of four octets (big-endian, counting the rest
of the packet), a command of one octet, and its data.
"""
