"""Exchange of accounts: the export document, and readers of other systems' accounts."""
