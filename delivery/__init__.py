"""LMTP proxy between Postfix and the mail stores: scanners judge each message, it marks them."""
