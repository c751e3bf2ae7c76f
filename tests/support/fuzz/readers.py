"""Broken files for every reader: it reads them, or says in one sentence which file is wrong.

    python -m tests.support.fuzz.readers --minutes 10

Any other exception, the end of the interpreter, 5 seconds of computing more than for whole files or 1 GiB of memory
more is a finding. Every case follows from the seed, the reader and its number, so a finding can be had again.
"""

import argparse
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from tests.support.fuzz.analysis import ANALYSIS
from tests.support.fuzz.experiments import EXPERIMENTS
from tests.support.fuzz.mutations import mutated
from tests.support.fuzz.target import Target, Unclear, check

TARGETS = [*EXPERIMENTS, *ANALYSIS]
SECONDS = 5.0  # of computing that a broken file may cost more than the whole ones
PATIENCE = 300.0  # seconds without a word, however little was computed
MEMORY = 2**30  # bytes that it may need more
TRACED = 4  # calls that a finding shows
ROOT = Path(__file__).parents[3]

# Of a case: its number, the file broken, how many sentences came, and what is wrong if anything is.
Outcome = tuple[int, str, int, str]


@dataclass
class Tally:
    """What came of one reader."""

    cases: int = 0
    refused: int = 0
    seconds: float = 0.0
    findings: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        case, file, sentences, finding = outcome
        self.cases += 1
        self.refused += sentences > 0
        if finding:
            signature = finding.partition("\n")[0]
            self.findings[signature] += 1
            self.first.setdefault(signature, f"case {case}, {file}\n{finding}")


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


def one_case(target: Target, folder: Folder, seed: int, case: int) -> Outcome:
    """Break a file, have it read, put it right."""
    file = folder.break_one(random.Random(f"{seed} {target.name} {case}"))
    try:
        said = target.read(folder.path)
        for sentence in said:
            check(sentence, folder.path)
        return case, str(file), len(said), ""
    except Unclear as unclear:
        return case, str(file), 0, f"unclear: {unclear}"
    except MemoryError:
        return case, str(file), 0, "too much memory"
    except BaseException as error:
        return case, str(file), 0, described(error)
    finally:
        folder.mend()


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


def work(target: Target, seed: int, first: int, told: Connection) -> None:
    """Cases from `first` on, as long as somebody listens; each may end this process."""
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        folder = Folder(target, Path(scratch))
        before = time.process_time()
        list(target.read(folder.path))  # caches are filled by now
        folder.mend()
        limit = SECONDS + 3 * (time.process_time() - before)
        space = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (space + MEMORY, resource.RLIM_INFINITY))
        for case in range(first, sys.maxsize):
            told.send(case)
            signal.setitimer(signal.ITIMER_PROF, limit)  # its signal ends the process, wherever it computes
            outcome = one_case(target, folder, seed, case)
            signal.setitimer(signal.ITIMER_PROF, 0)
            told.send(outcome)


def outcomes(target: Target, seed: int, first: int = 0) -> Iterator[Outcome]:
    """Case after case, in processes that may die of them."""
    while True:
        hearing, telling = get_context("fork").Pipe(duplex=False)
        process = get_context("fork").Process(target=work, args=(target, seed, first, telling), daemon=True)
        process.start()
        telling.close()
        begun = -1
        try:
            while True:
                if not hearing.poll(PATIENCE):
                    raise EOFError
                message = hearing.recv()
                if isinstance(message, int):
                    begun = message
                else:
                    yield message
        except EOFError:
            process.kill()
            process.join()
            if begun < first:
                raise RuntimeError(f"{target.name}: whole files are not read, exit code {process.exitcode}") from None
            late = process.exitcode in (-signal.SIGPROF, -signal.SIGKILL)
            yield begun, "?", 0, "does not end" if late else f"ends the interpreter, exit code {process.exitcode}"
            first = begun + 1
        finally:
            process.kill()
            process.join()


def fuzz(target: Target, seconds: float, seed: int, first: int = 0, cases: int = sys.maxsize) -> Tally:
    """Break files of one reader for some time, or so many of them."""
    tally, begun = Tally(), time.monotonic()
    for outcome in outcomes(target, seed, first):
        tally.add(outcome)
        tally.seconds = time.monotonic() - begun
        if tally.seconds > seconds or tally.cases >= cases:
            return tally
    raise AssertionError("cases do not run out")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="tests.support.fuzz.readers", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="for all readers together (10)")
    parser.add_argument("--seed", type=int, default=0, help="of all cases (0)")
    parser.add_argument("--reader", choices=[t.name for t in TARGETS], help="this one alone")
    parser.add_argument("--case", type=int, help="this one alone, of the reader")
    options = parser.parse_args(arguments)
    chosen = [t for t in TARGETS if options.reader in (None, t.name)]
    total = sum(target.share for target in chosen)
    failed = False
    print(f"{'reader':<22}{'files':>9}{'refused':>9}{'findings':>10}{'seconds':>9}", flush=True)
    for target in chosen:
        seconds = 60 * options.minutes * target.share / total
        first, cases = (0, sys.maxsize) if options.case is None else (options.case, 1)
        tally = fuzz(target, seconds, options.seed, first, cases)
        found = sum(tally.findings.values())
        print(f"{target.name:<22}{tally.cases:>9}{tally.refused:>9}{found:>10}{tally.seconds:>9.0f}", flush=True)
        for signature, times in tally.findings.most_common():
            print(
                f"\n  {times} times, first {target.name} {tally.first[signature]}\n".replace("\n", "\n  "), flush=True
            )
        failed = failed or found > 0
    sys.exit(failed)


if __name__ == "__main__":
    main()
