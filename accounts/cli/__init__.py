"""Commands for administrators of accounts, on the datastore or the API that gatepost.toml names."""
