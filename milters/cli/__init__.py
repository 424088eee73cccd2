"""Commands of the milter: `gatepost milters`, `auth`, `keys` and `import opendkim`."""
