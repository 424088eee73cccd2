"""Commands for people who administer accounts: they use the datastore that gatepost.toml names."""
