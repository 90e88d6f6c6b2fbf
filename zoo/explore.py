"""Writes a page in which trained models run: `python -m zoo.explore NAME_OR_RUN... --out=FILE`."""

import argparse
import pathlib
from collections.abc import Sequence

from zoo import cli


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser(
        prog="python -m zoo.explore",
        description="Write one HTML file in which pretrained models and runs are explored: sliders "
        "for their latents, ground-truth factors beside the codes they lead to, pictures of your "
        "own. It opens from disk, needs no server, and computes in the browser.",
    )
    parser.add_argument(
        "models",
        nargs="+",
        metavar="NAME_OR_RUN",
        help="names of pretrained models, exported folders, or runs; the page compares them",
    )
    parser.add_argument(
        "--out", help="the page (default: explorer.html in the report of the run, if one is named)"
    )
    parser.add_argument(
        "--megabytes",
        type=float,
        default=3.0,
        help="the most that a model may take in the page (3)",
    )
    cli.add_imports(parser)
    options = parser.parse_args(argv)
    if not options.megabytes > 0:
        parser.error(f"--megabytes={options.megabytes:g} must be positive")
    return options


@cli.command(_parse)
def main(options: argparse.Namespace) -> None:
    """Writes the page, says where."""
    cli.import_tensorflow()
    cli.do_imports(options.imports)

    from zoo import files
    from zoo.explorer import making

    out = pathlib.Path(options.out) if options.out else making.place(options.models)
    files.require_writable(out)
    size = making.make(options.models, out, options.megabytes)
    print(f"explorer: {out} ({size / 1e6:.1f} MB)")


if __name__ == "__main__":
    cli.run(main)
