"""Renders the images of `zoo_clevr6/rendered` with Blender.

    python -m zoo.data.render_clevr --setup           makes an environment with Blender (bpy), once
    python -m zoo.data.render_clevr                   500 images, with two processes
    python -m zoo.data.render_clevr --count 53483     more; what is there is kept

A run that was interrupted goes on where it stopped.
"""

import argparse
import sys


def main(arguments: list[str] | None = None) -> int:
    """Parses, sets up or renders, prints; returns the exit status."""
    from zoo.data import cache
    from zoo.data.zoo_clevr6 import environment, rendering

    parser = argparse.ArgumentParser(
        prog="python -m zoo.data.render_clevr",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--setup", action="store_true", help="make the environment with Blender")
    parser.add_argument("--python", help=f"a Python {environment.PYTHON} for --setup")
    parser.add_argument("--count", type=int, help=f"number of images ({rendering.COUNT})")
    parser.add_argument("--workers", type=int, default=2, help="number of processes (2)")
    flags = parser.parse_args(arguments)
    try:
        if flags.setup:
            print(f"Blender is ready: {environment.setup(flags.python)}")
        if flags.count is not None or not flags.setup:
            count = rendering.COUNT if flags.count is None else flags.count
            python = environment.python()
            environment.require_libraries(python)
            directory = cache.directory() / "data" / "zoo_clevr6"
            worker = rendering.command(python)
            print(f"rendered: {rendering.render(directory, count, worker, flags.workers)}")
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; run again to go on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
