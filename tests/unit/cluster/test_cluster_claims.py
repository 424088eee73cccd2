"""Claims of a release, from rendered objects."""

from __future__ import annotations

from typing import Any

from tests.cluster import claims

QUEUE: dict[str, Any] = {
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "mail-queue", "annotations": {"helm.sh/resource-policy": "keep"}},
}
SCRATCH: dict[str, Any] = {"kind": "PersistentVolumeClaim", "metadata": {"name": "mail-scratch"}}


def stateful_set(**spec: Any) -> dict[str, Any]:
    templates = [{"metadata": {"name": "queue"}}]
    pod = {"spec": {"volumes": [{"name": "c", "persistentVolumeClaim": {"claimName": "mine"}}]}}
    return {
        "kind": "StatefulSet",
        "metadata": {"name": "mail-postfix"},
        "spec": {"replicas": 2, "volumeClaimTemplates": templates, "template": pod, **spec},
    }


def test_a_release_makes_its_claims_and_those_of_its_stateful_sets() -> None:
    assert claims.made([QUEUE, SCRATCH, stateful_set()]) == {
        *("mail-queue", "mail-scratch", "queue-mail-postfix-0", "queue-mail-postfix-1"),
    }


def test_claims_stay_that_say_so_and_those_of_a_stateful_set() -> None:
    assert claims.kept([QUEUE, SCRATCH]) == {"mail-queue"}
    assert claims.kept([stateful_set()]) == {"queue-mail-postfix-0", "queue-mail-postfix-1"}
    gone = {"whenDeleted": "Delete"}
    assert claims.kept([stateful_set(persistentVolumeClaimRetentionPolicy=gone)]) == set()


def test_pods_use_claims_by_name() -> None:
    assert claims.used([QUEUE, stateful_set()]) == {"mine"}
