"""The chart on a real cluster: ``python -m tests.cluster`` (`make cluster`).

It needs a cluster and is not part of `make test`. `python -m tests.cluster --dry-run` prints its
commands. docs/kubernetes.md says what the cluster must have.
"""
