"""The milter protocol, our side of it: bytes in and events out, and back. No socket, no clock.

Postfix and Sendmail speak version 6. The protocol has no RFC: it is what Sendmail's
include/libmilter/mfdef.h and mfapi.h define. A packet is a length of four octets (big-endian, of
all that follows), a command of one octet, and its data.
"""
