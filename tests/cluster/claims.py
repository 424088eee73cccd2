"""Claims of a release: those that it makes, and those that outlive it, from the rendered chart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

KEEP = "helm.sh/resource-policy"


def made(objects: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the names of all claims that the objects of a release lead to."""
    found = set()
    for each in objects:
        if each["kind"] == "PersistentVolumeClaim":
            found.add(each["metadata"]["name"])
        elif each["kind"] == "StatefulSet":
            found |= _of_stateful_set(each)
    return found


def kept(objects: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the names of the claims that stay after `helm uninstall`."""
    found = set()
    for each in objects:
        metadata = each["metadata"]
        if each["kind"] == "PersistentVolumeClaim":
            if metadata.get("annotations", {}).get(KEEP) == "keep":
                found.add(metadata["name"])
        elif each["kind"] == "StatefulSet":
            policy = each["spec"].get("persistentVolumeClaimRetentionPolicy", {})
            if policy.get("whenDeleted", "Retain") == "Retain":
                found |= _of_stateful_set(each)
    return found


def used(objects: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the names of the claims that the pods of a release mount by name."""
    found = set()
    for each in objects:
        if each["kind"] in ("Deployment", "StatefulSet"):
            for volume in each["spec"]["template"]["spec"].get("volumes", ()):
                if claim := volume.get("persistentVolumeClaim"):
                    found.add(claim["claimName"])
    return found


def _of_stateful_set(each: Mapping[str, Any]) -> set[str]:
    name, spec = each["metadata"]["name"], each["spec"]
    return {
        f"{template['metadata']['name']}-{name}-{number}"
        for template in spec.get("volumeClaimTemplates", ())
        for number in range(spec.get("replicas", 1))
    }
