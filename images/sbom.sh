#!/bin/sh
# sbom NAME VERSION [PYTHON]: a CycloneDX 1.6 bill of materials of the image this runs in, to
# standard output: its Debian packages as dpkg has them and, with an interpreter, its Python packages
# and what these say that they carry inside (PEP 770), as cryptography its OpenSSL.
set -eu
name=$1 version=$2 python=${3:-}
debian=$(dpkg-query -W -f '    {"type": "library", "bom-ref": "deb:${binary:Package}", "name": "${Package}", "version": "${Version}", "purl": "pkg:deb/debian/${Package}@${Version}?arch=${Architecture}&distro=debian-13"},\n')
packages=
if [ -n "$python" ]; then
  packages=$("$python" -I -c '
import importlib.metadata, json
def say(component):
    print(f"    {json.dumps(component)},")
for found in sorted(importlib.metadata.distributions(), key=lambda each: each.name.lower()):
    name, version = found.name.lower().replace("_", "-"), found.version
    component = {"type": "library", "bom-ref": f"pypi:{name}", "name": name, "version": version,
                 "purl": f"pkg:pypi/{name}@{version}"}
    say(component)
    inside = {}
    for path in found.files or ():
        if path.parent.name != "sboms" or not path.name.endswith(".json"):
            continue
        bill = json.loads(path.locate().read_text())
        for part in bill["components"] if bill.get("bomFormat") == "CycloneDX" else ():
            if part.get("scope") != "excluded":  # which is a tool of the build
                kept = {key: part[key] for key in ("type", "name", "version", "purl", "licenses") if key in part}
                reference = "in:{}:{}".format(name, kept.get("purl", kept["name"]))
                inside[reference] = {"bom-ref": reference, **kept}
    for part in inside.values():
        say(part)
')
fi
cat <<END
{
  "bomFormat": "CycloneDX",
  "specVersion": "1.6",
  "version": 1,
  "metadata": {"component": {"type": "container", "name": "$name", "version": "$version"}},
  "components": [
$(printf '%s\n' "$debian" ${packages:+"$packages"} | sed '$ s/,$//')
  ]
}
END
