"""clamd, the virus scanner of ClamAV: the octets of its protocol (clamd(8)), without a socket."""
