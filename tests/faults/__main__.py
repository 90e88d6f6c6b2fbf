"""The whole campaign of faults: `python -m tests.faults [NAME ...]`, or `make faults`.

Prints what was tried, what was promised of it, and how often that was held; ends with 1 where a
promise was broken. Names choose promises that hold them.
"""

import os
import pathlib
import sys
import tempfile
import time

# Commands say each what they do; and neither cache nor threads of others are in play.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "fixtures"))


def main(names: list[str]) -> int:
    """Tries all promises that hold one of the names in theirs; the number of broken ones."""
    from tests.faults import damage, endings

    promises = {**damage.PROMISES, **endings.PROMISES}
    rows, broken = [], []
    with tempfile.TemporaryDirectory() as root:
        os.environ["ZOO_CACHE"] = f"{root}/cache"
        run = damage.short_run(pathlib.Path(root))
        for name, (promise, count, _) in promises.items():
            if names and not any(part in name for part in names):
                continue
            count = int(os.environ.get("FAULTS", count))
            folder = pathlib.Path(tempfile.mkdtemp(dir=root))
            begun, wrong, tried = time.monotonic(), [], 0
            for seed, trial in enumerate(promise(folder, range(count), run)):
                tried += 1
                if trial:
                    wrong.append(f"{name}, trial {seed}: {trial}")
            broken += wrong
            seconds = time.monotonic() - begun
            rows.append(f"| {name} | {tried} | {tried - len(wrong)} | {seconds:.0f} |")
            print(rows[-1], *wrong, sep="\n", file=sys.stderr, flush=True)
    print("| promise | tried | held | seconds |", "| --- | --- | --- | --- |", *rows, sep="\n")
    return len(broken)


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
