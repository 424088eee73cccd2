"""Programs around the daemons for the demo, tests and benchmarks: DNS, Postfix, clients."""
