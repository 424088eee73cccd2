"""Commands of the policy server: `gatepost policyd`, `greylist`, `dnslist`, `import postgrey`."""
