"""Programs that run in pods of the cluster, with the Python of the gatepost image alone."""
