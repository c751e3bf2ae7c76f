"""Receipts: what a finished result was made from, so that finding it finished needs neither torch nor Lightning.

A receipt lies with the results of a run or of a stage. It holds a fingerprint of all that decides them and one of each
of them. Where any differs, or there is no receipt, the run or stage is started: it decides for itself, and renews it.
"""

import contextlib
import hashlib
import json
import os
import platform
import re
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.record.keys import KEY, RESULT, RunKey, source_of
from experiments.record.write import write_atomically

ROOT = Path(__file__).parents[2]
CODE = ("datamodules", "experiments", "models")
SEEDS = f"*/*/seed*/{RESULT}"
RESULTS = {
    "contrastive": f"long-range/contrastive-*/{SEEDS}",
    "inspect": f"inspection/*/{SEEDS}",
    "speed": f"speed/*/{SEEDS}",
}
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "DATA_DIR")
STARTS = re.compile(
    r"^(?:--starts_from[=\n]|starts_from: +)[\"']?(\w[\w-]*/[\w-]+/[\w-]+)[\"']?(?: *| +#.*)$", re.MULTILINE
)
GIVEN = re.compile(rf"--run\.({'|'.join(KEY)}|root)=(.*)", re.DOTALL)
WORD = re.compile(r"[^\s'\",=\[\]{}]+")


@dataclass(frozen=True)
class Receipt:
    """A receipt that is there, or could be.

    Args:
        path: Its file.
        inputs: Fingerprint of what decides the results.
        results: Pattern of their files, from the receipt's folder.
    """

    path: Path
    inputs: str
    results: str = RESULT

    def holds(self) -> bool:
        """Whether the results are there as they were when the receipt was written, and for these inputs."""
        try:
            receipt = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return False
        return bool(self._found()) and receipt == self._content()

    def write(self) -> None:
        """Write it; without it, on a full disk for example, the run or stage is only started once more."""
        with contextlib.suppress(OSError):
            write_atomically(self.path, json.dumps(self._content(), indent=1) + "\n")

    def _content(self) -> dict[str, object]:
        return {"inputs": self.inputs, "results": self._found()}

    def _found(self) -> dict[str, str]:
        folder = self.path.parent
        return {str(path.relative_to(folder)): of(path) for path in sorted(folder.glob(self.results))}


def of_run(folder: Path, inputs: str) -> Receipt:
    """The receipt of a run; `inputs` are from `of_arguments`."""
    return Receipt(folder / "receipt.json", inputs)


def of_arguments(arguments: Sequence[str], code: str) -> str:
    """Fingerprint of what decides a run: code, fetched corpora, arguments of `experiments.run`, files that these name.

    To be taken before these are read: what is changed in between then makes another fingerprint.
    """
    seen: set[Path] = set()
    fetched = texts(Path(os.environ.get("DATA_DIR") or "data"))
    parts = [part for word in arguments for part in named(word, Path(), seen)]
    return of(code, *map(state, fetched), *parts, *weights(arguments, parts))


def weights(arguments: Sequence[str], parts: Iterable[str]) -> Iterator[Path]:
    """The results of runs that this one starts from."""
    given: dict[str, Any] = {found[1]: found[2] for word in arguments if (found := GIVEN.fullmatch(word))}
    for name in STARTS.findall("\n".join(parts)) if {*KEY} <= given.keys() else ():
        yield source_of(RunKey(**given), name).folder / RESULT


def of_stage(stage: str, suite: str, root: str, *settings: str) -> Receipt:
    """The receipt of a stage that measures a suite's trained translation models, or the speed of networks.

    Args:
        stage: contrastive, inspect or speed.
        suite: Whose models.
        root: Folder of the run store.
        settings: What else it was asked for.
    """
    configs = ROOT / "experiments" / "configs"
    read: list[str | Path] = [configs / "speed" / f"{suite}.yaml"]
    if stage == "speed":  # whose real sentences are trained on as in one of these
        read += sorted(configs.glob("bleu/*/*.yaml"))
    for folder in sorted(Path(root, suite, "bleu").glob("*/*/*/seed*")):
        config = folder / "config.yaml"
        text = config.read_text(encoding="utf-8", errors="replace") if config.is_file() else ""
        read += [str(folder), folder / RESULT, *named(text, Path(), set())]
    return Receipt(
        Path(root, suite, f"receipt-{stage}.json"), of(of_code(), machine(), *settings, *read), RESULTS[stage]
    )


def of(*parts: str | Path) -> str:
    """Fingerprint of texts and of the contents of files; a missing file is not an empty one."""
    whole = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            content = b"text " + part.encode(errors="surrogateescape")
        else:
            content = b"file " + part.read_bytes() if part.is_file() else b"none"
        whole.update(len(content).to_bytes(8, "big") + content)
    return whole.hexdigest()


def of_code(root: Path = ROOT, kinds: Iterable[str] = ("py",)) -> str:
    """Fingerprint of the code that makes results."""
    files = sorted(path for top in CODE for kind in kinds for path in (root / top).rglob(f"*.{kind}"))
    return of(*(part for path in files for part in (str(path.relative_to(root)), path)))


# Of the code that this process runs: a file that is changed after it was imported would have another fingerprint.
AT_START = of_code()


def named(text: str, folder: Path, seen: set[Path]) -> Iterator[str]:
    """A text and the files that it names, each once: YAML and JSON with what they name; of others size and time."""
    yield text
    for line in text.splitlines():
        ends = (line, line.partition("=")[2], line.partition(": ")[2], line.strip().removeprefix("- "))
        for name in dict.fromkeys((*(end.strip(" '\"") for end in ends), *WORD.findall(line))):
            for path in (Path(name), folder / name):
                if name and path not in seen and os.path.isfile(path):
                    seen.add(path)
                    if path.suffix in (".yaml", ".yml", ".json"):
                        yield from named(path.read_text(encoding="utf-8", errors="replace"), path.parent, seen)
                    else:
                        yield state(path)
                elif name and "data_dir" in line and os.path.isdir(path):
                    yield from map(state, texts(path))


def texts(folder: Path) -> list[Path]:
    """The files of a data folder, of which a run may read one."""
    return sorted(path for pattern in ("*", "*/*") for path in folder.glob(pattern) if path.is_file())


def state(path: Path) -> str:
    """What changes with a file's content, found without reading it; the inode's time cannot be set back."""
    status = path.stat()
    return f"{path} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def machine() -> str:
    """Whatever may change a speed, as far as it is known without torch: hardware, its share in use, packages."""
    gpus = sorted(path.name for path in Path("/proc/driver/nvidia/gpus").glob("*"))
    packages = sorted(path.name for path in Path(sysconfig.get_paths()["purelib"]).glob("*.dist-info"))
    cpu = [line for line in of_proc("cpuinfo") if line.startswith(("model name", "cpu family", "model\t"))][:3]
    memory = of_proc("meminfo")[:1]
    given = {"OMP_NUM_THREADS": str(os.cpu_count()), **os.environ}  # the default of `environment`
    variables = [f"{name}={given.get(name)}" for name in VARIABLES]
    cores = [os.cpu_count(), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None]
    system = [os.uname().sysname, os.uname().release, os.uname().machine, platform.python_version()]
    return json.dumps([system, cores, cpu, memory, gpus, packages, variables])


def of_proc(name: str) -> list[str]:
    path = Path("/proc", name)
    return path.read_text().splitlines() if path.exists() else []
