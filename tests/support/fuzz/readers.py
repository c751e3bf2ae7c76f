"""Broken files for every reader: it reads them, or says in one sentence which file is wrong.

Every case follows from the seed, the reader and its number, so that it can be had again.
"""

import os
import random
import traceback
from pathlib import Path

from tests.support.fuzz.analysis import ANALYSIS
from tests.support.fuzz.experiments import EXPERIMENTS
from tests.support.fuzz.mutations import mutated
from tests.support.fuzz.target import Target, Unclear, check

TARGETS = [*EXPERIMENTS, *ANALYSIS]
TRACED = 4  # calls that a finding shows
ROOT = Path(__file__).parents[3]


class Folder:
    """Whole files, of which one at a time is broken."""

    def __init__(self, target: Target, path: Path) -> None:
        self.path = path
        target.prepare(path)
        self.broken = sorted({p.relative_to(path) for pattern in target.broken for p in path.glob(pattern)})
        files = [p for p in path.rglob("*") if p.is_file() and not p.is_symlink()]
        self.contents = {p.relative_to(path): p.read_bytes() for p in files}
        self.stamps = {name: self._stamp(name) for name in self.contents}
        self.times = {name: (path / name).stat().st_mtime for name in self.contents}

    def _stamp(self, name: Path) -> tuple[int, int]:
        status = (self.path / name).stat()
        return status.st_mtime_ns, status.st_size

    def break_one(self, rng: random.Random) -> Path:
        name = rng.choice(self.broken)
        self._write(name, mutated(name.name, self.contents[name], rng))
        self.stamps[name] = (0, 0)
        return name

    def mend(self) -> None:
        """Put back what was broken, and what the reader changed."""
        for name, stamp in self.stamps.items():
            if not (self.path / name).exists() or self._stamp(name) != stamp:
                self._write(name, self.contents[name])
                self.stamps[name] = self._stamp(name)

    def _write(self, name: Path, content: bytes) -> None:
        (self.path / name).write_bytes(content)
        os.utime(self.path / name, (self.times[name], self.times[name]))


def finding(target: Target, folder: Folder, seed: int, case: int) -> str:
    """Break a file, have it read, put it right; what is wrong, empty if nothing is."""
    file = folder.break_one(random.Random(f"{seed} {target.name} {case}"))
    try:
        for sentence in target.read(folder.path):
            check(sentence, folder.path)
    except Unclear as unclear:
        return f"case {case}, {file}: unclear: {unclear}"
    except (Exception, SystemExit) as error:
        return f"case {case}, {file}: {described(error)}"
    finally:
        folder.mend()
    return ""


def described(error: BaseException) -> str:
    """The exception and the place in our own code; below it, how it came there."""
    ours = [
        f
        for f in traceback.extract_tb(error.__traceback__)
        if f.filename.startswith(str(ROOT)) and ".venv" not in f.filename
    ]
    where = f"{Path(ours[-1].filename).relative_to(ROOT)}:{ours[-1].lineno}" if ours else "?"
    trace = "".join(traceback.format_exception(error, limit=-TRACED))
    return f"{type(error).__name__} at {where}\n{trace[-3000:]}"
