"""Commands of the LMTP proxy."""
