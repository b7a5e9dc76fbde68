"""Writes the list of a folder's files with their sizes and SHA-256, which the catalogue reads."""

import hashlib
import json
import pathlib
import sys

folder = pathlib.Path(sys.argv[1])
shipped = sorted(p for p in folder.iterdir() if p.suffix in (".json", ".bin", ".wasm") and p.name != "manifest.json")
files = {
    p.name: {"bytes": p.stat().st_size, "sha256": hashlib.sha256(p.read_bytes()).hexdigest()} for p in shipped
}
(folder / "manifest.json").write_text(json.dumps({"files": files}, indent=2) + "\n")
