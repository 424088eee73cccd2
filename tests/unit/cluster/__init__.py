"""The pure parts of tests/cluster, whose scenes need a cluster."""
