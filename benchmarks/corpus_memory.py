"""Memory and time of reading texts of 10 MB, 100 MB and 1 GB through the cache of texts, and of drawing batches.

    python -m benchmarks.corpus_memory [--megabytes 10 100 1000] [--batches 200] [--seq-len 256] [--batch-size 16]

Every row is a process of its own, which reads the text (cold: nothing is in the cache; warm: it is), encodes it under
its vocabulary, draws batches, and looks it through as a training does when it starts. Anonymous memory is RssAnon of
/proc/self/status, sampled every 2 ms; the system's own pages of the file are no part of it. `capped` is a vocabulary
of 20 characters that writes the others as bytes, so that the text is encoded once more. Everything is written into a
temporary folder and removed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

PHRASE_BYTES, PHRASES, LINE_PHRASES = 24, 4096, 3
LETTERS = "etaoinshrdlucmfwypvbgkqjxz    ,.é∀Я"
GROWTH = 1.05


def write_text(path: Path, size: int) -> None:
    """Lines of LINE_PHRASES of PHRASES phrases, nearly all different, one in ten from a few that repeat."""
    rng = np.random.default_rng(1)
    phrases = []
    for _ in range(PHRASES):
        letters = "".join(rng.choice(list(LETTERS), 16)).encode()[: PHRASE_BYTES - 2].decode("utf-8", "ignore")
        phrases.append(letters.encode().ljust(PHRASE_BYTES))
    table = np.frombuffer(b"".join(phrases), f"V{PHRASE_BYTES}")
    line = np.dtype([("phrases", table.dtype, LINE_PHRASES), ("end", "S1")])
    with path.open("wb") as file:
        left = size // line.itemsize
        while left:
            count = min(left, 1 << 16)
            chosen = rng.integers(0, PHRASES, (count, LINE_PHRASES))
            chosen[rng.random(count) < 0.1] //= PHRASES // 4
            lines = np.empty(count, line)
            lines["phrases"], lines["end"] = table[chosen], b"\n"
            file.write(lines.tobytes())
            left -= count


class Anonymous:
    """The most anonymous memory since the last look, in bytes."""

    def __init__(self) -> None:
        self.peak, self._ended = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(0.002):
            self.look()

    def look(self) -> None:
        with open("/proc/self/status", encoding="ascii") as file:
            now = next(int(row.split()[1]) for row in file if row.startswith("RssAnon"))
        self.peak = max(self.peak, now << 10)

    def take(self) -> int:
        self.look()
        peak, self.peak = self.peak, 0
        return peak


def measure(path: Path, capped: bool, batches: int, seq_len: int, batch_size: int) -> dict[str, Any]:
    """Seconds and peaks of each part."""
    from nyx.text.batches import Windows
    from nyx.text.check import examine_text
    from nyx.text.corpus import read_text
    from nyx.text.prepare import split
    from nyx.text.vocabulary import Vocabulary

    memory, found = Anonymous(), {}

    @contextmanager
    def part(name: str) -> Iterator[None]:
        memory.take()
        start, used = time.perf_counter(), time.process_time()
        yield
        found[name] = {"seconds": time.perf_counter() - start, "processor": time.process_time() - used,
                       "anonymous": memory.take()}  # fmt: skip

    with part("read"):
        text = read_text(path)
    with part("encode"):
        limit: dict[str, Any] = {"max_characters": 20, "unknown": "bytes"} if capped else {}
        ids = Vocabulary.build(text, **limit).encode_text(text)
    with part("batches"):
        windows = Windows(split(ids, 0.1, seq_len)[0], seq_len, batch_size, seed=1)
        for step in range(batches):
            windows.batch(step)
    with part("check"):
        examine_text(text)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--seq-len", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--one", metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("--capped", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        path = Path(options.one)
        print(json.dumps(measure(path, options.capped, options.batches, options.seq_len, options.batch_size)))
        return
    print("peak of anonymous memory in MiB, seconds, and seconds of the processor, of each part")
    print(f"{'text':>8} {'':6} {'vocabulary':10}", *(f"{name:>21}" for name in ("read", "encode", "batches", "check")))
    peaks: dict[str, list[int]] = {}
    for size in options.megabytes:
        with tempfile.TemporaryDirectory(prefix="nyx-corpus-memory-") as folder:
            path = Path(folder, "text.txt")
            write_text(path, size * 10**6)
            environment = os.environ | {"NYX_CACHE_DIR": folder, "OPENBLAS_NUM_THREADS": "1"}
            for state, vocabulary in (("cold", "own"), ("warm", "own"), ("cold", "capped"), ("warm", "capped")):
                command = [sys.executable, "-m", "benchmarks.corpus_memory", "--one", str(path),
                           *["--capped"] * (vocabulary == "capped"), "--batches", str(options.batches),
                           "--seq-len", str(options.seq_len), "--batch-size", str(options.batch_size)]  # fmt: skip
                found = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
                cells = [
                    f"{p['anonymous'] / 2**20:7.1f} {p['seconds']:6.2f} {p['processor']:6.2f}" for p in found.values()
                ]
                print(f"{size:>5} MB {state:6} {vocabulary:10}", *(f"{cell:>21}" for cell in cells), flush=True)
                peaks.setdefault(f"{state} {vocabulary}", []).append(max(p["anonymous"] for p in found.values()))
    growth = {name: max(each) / each[0] for name, each in peaks.items()}
    print("growth of the peak:", ", ".join(f"{name} {each - 1:+.1%}" for name, each in growth.items()))
    if max(growth.values()) >= GROWTH:
        sys.exit("memory grows with the text")


if __name__ == "__main__":
    main()
