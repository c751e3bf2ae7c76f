"""Fetch the public corpora: `python -m datamodules.download [--data_dir data] [CORPUS ...]`.

Every file is pinned to a commit and checked by its SHA-256. Multi30k (Elliott et al. 2016, 2017) is for
non-commercial research and education; Tatoeba is CC-BY 2.0, by way of manythings.org/anki; the Shakespeare of
karpathy/char-rnn is in the public domain.
"""

import argparse
import hashlib
import http.client
import os
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from datamodules.corpora import find_data_dir

MULTI30K = "https://raw.githubusercontent.com/multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw"
MULTI30K_SHA256 = {
    "train.en.gz": "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
    "train.de.gz": "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
    "val.en.gz": "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
    "val.de.gz": "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
    "test_2016_flickr.en.gz": "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
    "test_2016_flickr.de.gz": "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
    "test_2017_flickr.en.gz": "76a444ee25172e72695cddb13ae4a3bda59430617be88e0bb46b60504f054074",
    "test_2017_flickr.de.gz": "a2c89666db00c495cd8513b9d708d5a3acc205d7de312ef2bf5fb7ebc1540aee",
    "test_2017_mscoco.en.gz": "aab300bfb4427697987e02cd0aacd44bfe8aa50456231b6474c08038bbed2b58",
    "test_2017_mscoco.de.gz": "799e4854c25d601cb6cb6be29eabe5667734c61ace2f495e03e429031a0bc338",
}
# a copy of the export of 2018-05-13; manythings.org itself keeps only the newest export, which has other sentences
TATOEBA = "https://raw.githubusercontent.com/rioyshky/translation/de48b7027f7318d77010a6e08ed928c10748c23d/deu-eng.zip"
TATOEBA_SHA256 = "b7688f84f99fa33c17397c14d8bd9cef1fdeb2ee0bf50074767023aee8926e28"
SHAKESPEARE = "https://raw.githubusercontent.com/karpathy/char-rnn/d1d7aa34fdb3626174bce1d753e6cc6845ce7087/data"
SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"

TIMEOUT = 30  # seconds without a byte
LONGEST = 1 << 26  # bytes; none of the files has as many


@dataclass(frozen=True)
class RemoteFile:
    """A file to fetch: where it lies under the data folder, where it comes from, what it must hash to."""

    path: str
    url: str
    sha256: str


DATASETS = {
    "multi30k": [RemoteFile(f"multi30k/{name}", f"{MULTI30K}/{name}", sum_) for name, sum_ in MULTI30K_SHA256.items()],
    "tatoeba": [RemoteFile("tatoeba/deu-eng.zip", TATOEBA, TATOEBA_SHA256)],
    "tinyshakespeare": [RemoteFile(name := "tinyshakespeare/input.txt", f"{SHAKESPEARE}/{name}", SHAKESPEARE_SHA256)],
}


def fetch(file: RemoteFile, data_dir: Path) -> bool:
    """Make sure that a file is there with the right content; return whether it had to be fetched.

    The file appears under its name only when whole and checked.

    Raises:
        ValueError: Another file has this name, which is left alone, or the server sent other content.
        ConnectionError: The server cannot be reached, or broke off.
        OSError: The folder does not take the file.
    """
    path = data_dir / file.path
    if path.exists():
        if (found := sha256(path.read_bytes())) != file.sha256:
            raise ValueError(f"{path} has SHA-256 {found}, not {file.sha256}: move it away to have it fetched again.")
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with urllib.request.urlopen(file.url, timeout=TIMEOUT) as response:
            content = response.read(LONGEST)
            if response.length:  # bytes that are missing
                raise http.client.IncompleteRead(content, response.length)
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(
            f"{file.url} cannot be fetched ({str(error)!r}): run this again, or get it by other means and save "
            f"it as {path}; the next run checks it."
        ) from error
    if (found := sha256(content)) != file.sha256:
        raise ValueError(f"{file.url} sent content with SHA-256 {found}, not {file.sha256}: nothing was saved.")
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")  # another download may be under way
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return True


def sha256(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def main(arguments: list[str] | None = None) -> int:
    """Fetch the corpora named on the command line, or all; return the exit status."""
    parser = argparse.ArgumentParser(description="Fetch public corpora and check them.")
    parser.add_argument("corpora", nargs="*", choices=[*DATASETS, "all"], default="all", help="by default all")
    parser.add_argument("--data_dir", help="folder to keep them in; by default $DATA_DIR, else data")
    options = parser.parse_args(arguments)
    data_dir = find_data_dir(options.data_dir)
    for name in DATASETS if "all" in options.corpora else options.corpora:
        for file in DATASETS[name]:
            try:
                fetched = fetch(file, data_dir)
            except (ValueError, ConnectionError) as error:
                print(error, file=sys.stderr)
                return 1
            except OSError as error:
                print(
                    f"{data_dir / file.path} cannot be saved ({error}): make room for it, or name another folder with "
                    "DATA_DIR, and run this again.",
                    file=sys.stderr,
                )
                return 1
            print(f"{data_dir / file.path}: {'fetched' if fetched else 'already there'}, checksum right")
    return 0


if __name__ == "__main__":
    sys.exit(main())
