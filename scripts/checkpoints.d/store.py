# SPDX-License-Identifier: Apache-2.0
"""What every maker shares: folders, the manifest, package versions, and no machine paths in what is written."""

import importlib.metadata
import json
import pathlib
import shutil
import traceback

KEPT = (".safetensors", ".safetensors.index.json", "config.json", "hf_quant_config.json")
PACKAGES = ("nvidia-modelopt", "transformers", "torch", "compressed-tensors", "llmcompressor", "safetensors", "accelerate")


def versions():
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def tidy(folder):
    """Tensors and configs stay; the path the model was loaded from does not."""
    for file in sorted(folder.iterdir()):
        if not file.name.endswith(KEPT) or file.name == "generation_config.json":
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    config = folder / "config.json"
    if config.exists():
        facts = json.loads(config.read_text())
        if facts.pop("_name_or_path", None) is not None:
            config.write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")


class Store:
    """One folder per (release, model, preset) under `root`, and the manifest that lists them."""

    def __init__(self, root, release):
        self.root = pathlib.Path(root)
        self.release = release
        self.original = {}

    def save_original(self, model, name):
        folder = self.root / self.release / name / "BF16"
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder)
        tidy(folder)
        self.original[name] = folder
        return folder

    def make(self, name, preset, expected, write):
        """Calls write(folder); what it raises is recorded, not hidden."""
        folder = self.root / self.release / name / preset
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        entry = {
            "release": self.release,
            "model": name,
            "preset": preset,
            "path": str(folder.relative_to(self.root)),
            "original": str(self.original[name].relative_to(self.root)),
            "expected": expected,
            "versions": versions(),
        }
        try:
            write(folder)
            tidy(folder)
            entry["bytes"] = sum(f.stat().st_size for f in folder.iterdir())
        except Exception as reason:
            shutil.rmtree(folder, ignore_errors=True)
            where = traceback.extract_tb(reason.__traceback__)[-1]
            entry["error"] = f"{type(reason).__name__}: {str(reason)[:300]} ({pathlib.Path(where.filename).name})"
        self.note(entry)
        print(f"{self.release:22} {name:16} {preset:34} {entry.get('error') or 'made'}"[:200], flush=True)

    def note(self, entry):
        file = self.root / "manifest.json"
        rows = json.loads(file.read_text()) if file.exists() else []
        key = ("release", "model", "preset")
        rows = [r for r in rows if any(r[k] != entry[k] for k in key)] + [entry]
        rows.sort(key=lambda r: tuple(r[k] for k in key))
        file.write_text(json.dumps(rows, indent=1) + "\n")
