"""The campaign of faults: `python -m tests.faults [--results FILE] [NAME ...]`, `make faults`.

Prints what was promised, how many trials there are of it, how many were made, how many held, and
the seconds of the processor that they took; ends with 1 where a promise was broken. Names choose
the promises that hold one of them. With a file of results, to which each trial adds a line, trials
that held are passed over and those that did not are made again, so that the campaign can be done in
pieces; the table is of the whole file. `FAULTS_MINUTES` limits the time, of which each promise has
its share: what it does not suffice for is not tried, and the table says so.
"""

import argparse
import json
import os
import pathlib
import sys
import tempfile
import time

# Commands say each what they do; and neither cache nor threads of others are in play.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
for _threads in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "fixtures"))


def main(names: list[str], results: pathlib.Path) -> int:
    """Tries the promises that hold one of the names; the number of trials that broke one."""
    from tests.faults import commands, damage, endings, room, together
    from zoo import machine

    # What takes longest comes last and has all the time that is left.
    promises = {}
    for part in (damage, together, room, endings):
        promises |= part.PROMISES
    chosen = [each for each in promises if not names or any(part in each for part in names)]
    end = time.monotonic() + 60 * float(os.environ.get("FAULTS_MINUTES", 60))
    with tempfile.TemporaryDirectory() as root, results.open("a") as file:
        os.environ["ZOO_CACHE"] = f"{root}/cache"
        # What ends runs makes its own, of the same gin file.
        damage.toy_gin(pathlib.Path(root))
        run = pathlib.Path(root, "run")
        if any(name in damage.PROMISES for name in chosen):
            damage.short_run(pathlib.Path(root))
        for left, name in zip(range(len(chosen), 0, -1), chosen, strict=True):
            promise, count, _ = promises[name]
            tried = read(results, name)
            seeds = [seed for seed in range(count) if tried.get(seed, {"wrong": True})["wrong"]]
            folder = pathlib.Path(tempfile.mkdtemp(dir=root))
            before, begun = commands.processor_seconds(), time.monotonic()
            if begun > end:
                break
            enough = begun + (end - begun) / left
            # Some try several seeds at once: the first of them waits.
            for seed, wrong in zip(seeds, promise(folder, seeds, run), strict=False):
                now = commands.processor_seconds()
                record = {"promise": name, "trial": seed, "seconds": now - before, "wrong": wrong}
                file.write(json.dumps(record) + "\n")
                file.flush()
                before = now
                if wrong:
                    print(f"{name}, trial {seed}: {wrong}", file=sys.stderr, flush=True)
                if time.monotonic() > enough:
                    break
    print("| fault: what should happen | trials planned | made | promise kept | seconds |")
    print("| --- | --- | --- | --- | --- |")
    broken = 0
    for name in promises:
        tried = read(results, name)
        if tried or name in chosen:
            wrong = sum(bool(record["wrong"]) for record in tried.values())
            seconds = sum(record["seconds"] for record in tried.values())
            numbers = (promises[name][1], len(tried), len(tried) - wrong, f"{seconds:.0f}")
            print(f"| {name} |", *(f"{number} |" for number in numbers))
            broken += wrong
    load = os.getloadavg()[2]
    print(f"\n{machine.processor()}, {os.cpu_count()} cores, load of {load:.1f} (15 minutes)")
    return broken


def read(results: pathlib.Path, promise: str) -> dict[int, dict]:
    """The last record of each trial of a promise in a file of results."""
    records = map(json.loads, results.read_text().splitlines())
    return {record["trial"]: record for record in records if record["promise"] == promise}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--results", type=pathlib.Path, metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kept = options.results or pathlib.Path(folder, "results.jsonl")
        sys.exit(1 if main(options.names, kept) else 0)
