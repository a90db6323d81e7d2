# SPDX-License-Identifier: Apache-2.0
"""What every maker shares: folders, the manifest, package versions, and no machine paths in what is written."""

import fcntl
import importlib.metadata
import json
import multiprocessing
import pathlib
import shutil
import traceback

KEPT = (".safetensors", ".safetensors.index.json", "config.json", "hf_quant_config.json")
ALWAYS = ("transformers", "torch", "safetensors")
PACKAGES = {
    "modelopt": ("nvidia-modelopt",),
    "llmcompressor": ("llmcompressor", "compressed-tensors"),
    "compressed-tensors": ("compressed-tensors",),
    "transformers": (),
    "autoawq": ("autoawq",),
    "auto_gptq": ("auto_gptq",),
    "gptqmodel": ("gptqmodel",),
}


def versions(release):
    package = release.rpartition("-")[0]
    return {name: importlib.metadata.version(name) for name in PACKAGES[package] + ALWAYS}


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


def attempt(write, folder, answer):
    try:
        write(folder)
        answer.send("")
    except Exception as reason:
        where = traceback.extract_tb(reason.__traceback__)[-1]
        answer.send(f"{type(reason).__name__}: {str(reason)[:300]} ({pathlib.Path(where.filename).name})")


def apart(write, folder):
    """What write(folder) raised, "" for nothing. A process of its own: some releases keep state from model to model."""
    context = multiprocessing.get_context("fork")
    answer, theirs = context.Pipe(duplex=False)
    child = context.Process(target=attempt, args=(write, folder, theirs))
    child.start()
    theirs.close()
    try:
        failure = answer.recv()
    except EOFError:
        failure = "the process ended without an answer"
    child.join()
    return failure


class Store:
    """One folder per (release, model, preset) under `root`, and the manifest that lists them."""

    def __init__(self, root, release, shard):
        self.root = pathlib.Path(root)
        self.release = release
        self.shard = shard
        self.original = {}

    def save_original(self, model, name):
        folder = self.root / self.release / name / "BF16"
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder, max_shard_size=self.shard)
        tidy(folder)
        self.original[name] = folder
        return folder

    def make(self, name, preset, expected, write):
        """Has write(folder) done; what it raises is recorded, not hidden."""
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
            "versions": versions(self.release),
        }
        failure = apart(write, folder)
        if failure:
            shutil.rmtree(folder)
            entry["error"] = failure
        else:
            tidy(folder)
            entry["bytes"] = sum(f.stat().st_size for f in folder.iterdir())
        self.note(entry)
        print(f"{self.release:22} {name:16} {preset:34} {entry.get('error') or 'made'}"[:200], flush=True)

    def note(self, entry):
        file, key = self.root / "manifest.json", ("release", "model", "preset")
        with open(self.root / "manifest.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            rows = json.loads(file.read_text()) if file.exists() else []
            rows = [r for r in rows if any(r[k] != entry[k] for k in key)] + [entry]
            rows.sort(key=lambda r: tuple(r[k] for k in key))
            new = file.with_suffix(".new")
            new.write_text(json.dumps(rows, indent=1) + "\n")
            new.replace(file)
