"""The datastore: its tables, its transactions and its migrations."""
