"""compose.yaml, rendered from the pod of k8s/mailboxes.yaml.

``python3 -m tools.up.compose WORD``: `render` prints the file, `secrets` makes the files that it
mounts.
Containers of a compose file have no pod, so all of them share the network of the service `pod`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from tools.up.place import HOST, PORTS, ROOT, Place, PlaceError
from tools.up.system import IMAGE, INSIDE, MANIFEST, System

STATE = ".compose"
"""The folder of the secrets, beside compose.yaml."""
SHARED = ("sockets", "postfix-log")
"""The volumes of several containers that do not outlive the pod."""
HEAD = """\
# A whole mail system for docker compose and podman-compose: Postfix with Gatepost, accounts,
# Dovecot, SpamAssassin and webmail. Rendered from k8s/mailboxes.yaml by `make manifest`; docs/up.md
# explains how to start it. The files in .compose are made by `python3 -m tools.up.compose secrets`.
"""
_PLACE = Place(name="gatepost-compose", state=ROOT / STATE)


def released(image: str) -> str:
    """Return the image of a release: as the manifest has it."""
    return image


def rendered(image: Callable[[str], str] = released) -> str:
    """Return the text of compose.yaml; `image` changes the names of the images."""
    found = [each for each in yaml.safe_load_all(MANIFEST.read_text()) if each]
    settings = {
        each["metadata"]["name"]: each["data"] for each in found if each["kind"] == "ConfigMap"
    }
    (deployment,) = (each for each in found if each["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    stop = f"{pod['terminationGracePeriodSeconds']}s"
    volumes = {each["name"]: each for each in pod["volumes"]}
    services: dict[str, Any] = {"pod": _pod(image(pod["containers"][0]["image"]))}
    for container in pod["containers"]:
        service = _service(container, volumes, settings)
        service["image"] = image(service["image"])
        service["stop_grace_period"] = stop
        services[container["name"]] = service
    secrets = {
        secret["source"]: {"file": f"./{STATE}/{secret['source'].replace('-', '/', 1)}"}
        for service in services.values()
        for secret in service.get("secrets", ())
    }
    mounted = [one for service in services.values() for one in service.get("volumes", ())]
    named = sorted({one.partition(":")[0] for one in mounted if not one.startswith(".")})
    content = {
        "services": services,
        "secrets": dict(sorted(secrets.items())),
        "volumes": {name: {} for name in named},
    }
    return HEAD + yaml.safe_dump(content, sort_keys=False, width=120)


def _pod(image: str) -> dict[str, Any]:
    """Return the service that has the network: it does nothing, so it never ends."""
    return {
        "image": image,
        "entrypoint": ["sleep", "infinity"],
        "init": True,
        "ports": [f"{HOST}:{PORTS[name]}:{INSIDE[name]}" for name in PORTS],
        "read_only": True,
        "cap_drop": ["ALL"],
        "restart": "unless-stopped",
    }


def _service(
    container: Mapping[str, Any], volumes: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    context = container["securityContext"]
    probe = container["readinessProbe"]
    image = IMAGE.match(container["image"])
    assert image is not None, container["image"]  # noqa: S101 # the chart wrote it
    file = f"images/{image['name'] or 'gatepost'}/Dockerfile"
    service: dict[str, Any] = {
        "image": container["image"],
        "build": {"context": ".", "dockerfile": file},
    }
    if "command" in container:
        service["entrypoint"] = container["command"]
    if "args" in container:
        service["command"] = container["args"]
    service |= {
        "network_mode": "service:pod",
        "depends_on": ["pod"],
        # group 0 owns the files of the images and the secrets
        "user": f"{context['runAsUser']}:{context.get('runAsGroup', 0)}",
        "read_only": context["readOnlyRootFilesystem"],
        "cap_drop": context["capabilities"]["drop"],
    }
    if "add" in context["capabilities"]:
        service["cap_add"] = context["capabilities"]["add"]
    service |= {
        "security_opt": ["no-new-privileges:true"],
        "mem_limit": container["resources"]["limits"]["memory"].lower().removesuffix("i"),
        "restart": "unless-stopped",
        "healthcheck": {
            "test": ["CMD-SHELL", " ".join(probe["exec"]["command"])],
            "interval": f"{probe['periodSeconds']}s",
            "timeout": f"{probe['timeoutSeconds']}s",
            "retries": probe["failureThreshold"],
            "start_period": "60s",
        },
    }
    environment = {each["name"]: each["value"] for each in container.get("env", ())}
    used = _used_by(container, volumes, settings)
    parts: dict[str, list[Any]] = {"secrets": [], "volumes": [], "tmpfs": []}
    for mount in container["volumeMounts"]:
        volume, path = volumes[mount["name"]], mount["mountPath"]
        if "configMap" in volume and path.startswith("/config"):
            environment |= settings[volume["configMap"]["name"]]
        elif "configMap" in volume:
            parts["volumes"].append(f"./{STATE}/gatepost:{path}:ro")
        elif "secret" in volume:
            parts["secrets"] += _secrets(volume["secret"], path, used)
        elif "persistentVolumeClaim" in volume or volume["name"] in SHARED:
            parts["volumes"].append(
                f"{volume['name']}:{path}{':ro' if mount.get('readOnly') else ''}"
            )
        else:
            parts["tmpfs"].append(path)
    if environment:
        # a dollar would begin a variable
        service["environment"] = {k: v.replace("$", "$$") for k, v in environment.items()}
    return service | {name: values for name, values in parts.items() if values}


_FILES = {
    "mail-tls": ("tls.crt", "tls.key", "ca.crt"),
    "mail-mailboxes": ("seal", "doveadm", "srs"),
    "mail-dkim": (),  # the keys are in the database
}
"""By Secret: its files, as `System.write_secrets` makes them."""


def _used_by(
    container: Mapping[str, Any], volumes: Mapping[str, Any], settings: Mapping[str, Any]
) -> str:
    """Return the settings of a container, which name the secrets that it reads."""
    maps = [volumes[mount["name"]].get("configMap") for mount in container["volumeMounts"]]
    return "\n".join(text for each in maps if each for text in settings[each["name"]].values())


def _secrets(secret: Mapping[str, Any], path: str, used: str) -> list[dict[str, str]]:
    name = secret["secretName"]
    chosen = [item["key"] for item in secret.get("items", ())] or _FILES[name]
    prefix = name.removeprefix("mail-")
    return [
        {"source": f"{prefix}-{file}", "target": f"{path}/{file}"}
        for file in chosen
        # the programs find certificates by their places, and other secrets by their settings
        if name == "mail-tls" or f"{path}/{file}" in used
    ]


def write_secrets(place: Place = _PLACE) -> None:
    """Make the secrets, the certificate and gatepost.toml, where they are missing."""
    place.state.mkdir(mode=0o755, exist_ok=True)
    System(place).write_secrets()
    folder = place.state / "gatepost"
    folder.mkdir(mode=0o755, exist_ok=True)
    found = [each for each in yaml.safe_load_all(MANIFEST.read_text()) if each]
    for each in found:
        for name, text in each.get("data", {}).items() if each["kind"] == "ConfigMap" else ():
            if name == "gatepost.toml" and not (folder / name).exists():
                (folder / name).write_text(text)
                (folder / name).chmod(0o644)


def main() -> int:
    """Run one word. Returns 1 with an error message if it fails."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.up.compose")
    words = parser.add_subparsers(dest="word", required=True)
    words.add_parser("render", help="print compose.yaml")
    words.add_parser("secrets", help=f"make the files in {STATE}")
    chosen = parser.parse_args()
    try:
        if chosen.word == "render":
            sys.stdout.write(rendered())
        else:
            write_secrets()
    except (PlaceError, OSError) as error:
        sys.stderr.write(f"compose: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
