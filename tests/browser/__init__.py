"""Web pages of accounts in a browser."""
