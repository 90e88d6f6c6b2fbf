"""The whole campaign of faults: `python -m tests.faults [NAME ...]`, or `make faults`.

Prints what was tried, what was promised of it, and how often that was held; ends with 1 where a
promise was broken. Names choose promises that hold them. `FAULTS_MINUTES` limits the time, of which
each promise has its share: on a busy machine fewer are tried, and the table says how many.
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
    chosen = [each for each in promises if not names or any(part in each for part in names)]
    end = time.monotonic() + 60 * float(os.environ.get("FAULTS_MINUTES", 60))
    rows, broken = [], []
    with tempfile.TemporaryDirectory() as root:
        os.environ["ZOO_CACHE"] = f"{root}/cache"
        run = damage.short_run(pathlib.Path(root))
        for left, name in zip(range(len(chosen), 0, -1), chosen, strict=True):
            promise, count, _ = promises[name]
            folder = pathlib.Path(tempfile.mkdtemp(dir=root))
            begun, wrong, tried = time.monotonic(), [], 0
            enough = begun + (end - begun) / left
            for trial in promise(folder, range(count), run):
                tried += 1
                if trial:
                    wrong.append(f"{name}, trial {tried - 1}: {trial}")
                if time.monotonic() > enough:
                    break
            broken += wrong
            seconds = time.monotonic() - begun
            rows.append(f"| {name} | {tried} | {tried - len(wrong)} | {seconds:.0f} |")
            print(rows[-1], *wrong, sep="\n", file=sys.stderr, flush=True)
    print("| promise | tried | held | seconds |", "| --- | --- | --- | --- |", *rows, sep="\n")
    return len(broken)


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
