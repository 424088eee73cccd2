"""What the demo, the tests and the benchmarks run around the daemons: DNS, Postfix, clients."""
