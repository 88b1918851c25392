"""Build tagger.pyz, one file for every Python that tagger supports, with its checksum and an SBOM.

It takes the wheel in dist and the locked packages, as pure Python, and writes all three files to dist.

Usage: python tools/pyz.py
"""

from __future__ import annotations

import hashlib
import importlib.metadata as installed
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
import zipapp
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
_NAME = "oci-tagger"
# Older interpreters parse this file too, and say what is wrong; tagger itself is imported later.
_START = """\
import sys

if sys.version_info < (3, 11):
    sys.exit("tagger: error: this is Python %s: tagger needs Python 3.11 or later" % sys.version.split()[0])
from tagger.__main__ import main

main()
"""
# A zip file cannot hold an earlier time. Every file has this one, so the same content gives the same archive.
_TIME = 315_532_800


def fill(folder: Path) -> None:
    """Install the wheel and the locked packages, none of which may hold compiled code."""
    shutil.rmtree(folder, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps", "--target", str(folder)]
    pure = ["--only-binary", ":all:", "--platform", "any", "--implementation", "py", "--abi", "none"]
    lock = ROOT / "requirements.lock"
    subprocess.run(
        [*pip, *pure, "--python-version", "3.11", "--require-hashes", "--requirement", str(lock)], check=True
    )
    # Programs and records of file locations describe this folder, not the archive.
    shutil.rmtree(folder / "bin", ignore_errors=True)
    (wheel,) = (ROOT / "dist").glob("oci_tagger-*.whl")
    subprocess.run([*pip, str(wheel)], check=True)
    shutil.rmtree(folder / "bin", ignore_errors=True)
    for name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json"):
        for record in folder.glob(f"*.dist-info/{name}"):
            record.unlink()
    (folder / "__main__.py").write_text(_START)


def archive(folder: Path, target: Path) -> None:
    """Pack the folder into one file that Python runs."""
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (_TIME, _TIME))
    zipapp.create_archive(folder, target, interpreter="/usr/bin/env python3", compressed=True)
    target.chmod(0o755)


def bill(folder: Path, digest: str) -> dict[str, Any]:
    """Return what is installed in the folder, as a CycloneDX 1.5 document about the archive with this digest."""
    found = {_normal(each.name): each for each in installed.distributions(path=[str(folder)])}
    main = found[_NAME]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}",
        "version": 1,
        "metadata": {
            "component": {
                **_component(main, "application"),
                "hashes": [{"alg": "SHA-256", "content": digest}],
            },
        },
        "components": [_component(each, "library") for name, each in sorted(found.items()) if name != _NAME],
        "dependencies": [
            {
                "ref": _purl(each),
                "dependsOn": [_purl(found[name]) for name in sorted(_needs(each.requires or ())) if name in found],
            }
            for _, each in sorted(found.items())
        ],
    }


def _component(found: installed.Distribution, kind: str) -> dict[str, Any]:
    license_of = _license(found)
    return {
        "type": kind,
        "bom-ref": _purl(found),
        "name": _normal(found.name),
        "version": found.version,
        "purl": _purl(found),
        **({"licenses": [license_of]} if license_of else {}),
    }


def _license(found: installed.Distribution) -> dict[str, Any]:
    """Return the licence: an SPDX expression where the package has one, or else its own words."""
    for expression in found.metadata.get_all("License-Expression", ()):
        return {"expression": expression}
    named = [each.rpartition(" :: ")[2] for each in found.metadata.get_all("Classifier", ()) if "License ::" in each]
    words = [*named, *(each.partition("\n")[0] for each in found.metadata.get_all("License", ()))]
    return {"license": {"name": words[0]}} if words else {}


def _needs(requirements: Sequence[str]) -> set[str]:
    """Return the names of packages that are required without an extra."""
    names = (re.match(r"[A-Za-z0-9._-]+", each) for each in requirements if "extra ==" not in each)
    return {_normal(name[0]) for name in names if name}


def _purl(found: installed.Distribution) -> str:
    return f"pkg:pypi/{_normal(found.name)}@{found.version}"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Write dist/tagger.pyz, dist/tagger.pyz.sha256 and dist/tagger.pyz.cdx.json."""
    folder, target = ROOT / "build/pyz", ROOT / "dist/tagger.pyz"
    fill(folder)
    archive(folder, target)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    target.with_suffix(".pyz.sha256").write_text(f"{digest}  {target.name}\n")
    target.with_suffix(".pyz.cdx.json").write_text(json.dumps(bill(folder, digest), indent=2) + "\n")


if __name__ == "__main__":
    main()
