"""Renders the images of `zoo_clevr6/rendered` with Blender.

    python -m zoo.data.render_clevr --setup           makes an environment with Blender (bpy), once
    python -m zoo.data.render_clevr                   500 images, with two processes
    python -m zoo.data.render_clevr --count 53483     more; what is there is kept

An interrupted run resumes.
"""

import argparse
from collections.abc import Sequence

from zoo import cli
from zoo.errors import UserError


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    from zoo.data.zoo_clevr6 import environment, rendering

    parser = cli.Parser(
        prog="python -m zoo.data.render_clevr",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--setup", action="store_true", help="make the environment with Blender")
    parser.add_argument("--python", help=f"a Python {environment.PYTHON} for --setup")
    parser.add_argument("--count", type=int, help=f"number of images ({rendering.COUNT})")
    parser.add_argument("--workers", type=int, default=2, help="number of processes (2)")
    return parser.parse_args(argv)


@cli.command(_parse)
def main(options: argparse.Namespace) -> None:
    """Sets up or renders, says where."""
    try:
        _render(options)
    except OSError as error:
        raise UserError(" ".join(str(error).split())) from error


def _render(options: argparse.Namespace) -> None:
    from zoo.data import cache
    from zoo.data.zoo_clevr6 import environment, rendering

    if options.setup:
        print(f"Blender is ready: {environment.setup(options.python)}")
    if options.count is not None or not options.setup:
        count = rendering.COUNT if options.count is None else options.count
        python = environment.python()
        environment.require_libraries(python)
        directory = cache.directory() / "data" / "zoo_clevr6"
        worker = rendering.command(python)
        print(f"rendered: {rendering.render(directory, count, worker, options.workers)}")


if __name__ == "__main__":
    cli.run(main)
