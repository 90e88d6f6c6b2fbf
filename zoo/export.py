"""Exports a run as a SavedModel: `python -m zoo.export --run=DIR --out=DIR`."""

import argparse
import pathlib
from collections.abc import Sequence

from zoo import cli


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser(
        prog="python -m zoo.export",
        description="Export a run's newest checkpoint as a SavedModel, finished or not.",
    )
    parser.add_argument("--run", required=True, help="the folder of a run")
    parser.add_argument("--out", help="where (default: saved_model in that folder)")
    return parser.parse_args(argv)


@cli.command(_parse)
def main(options: argparse.Namespace) -> None:
    """Exports, says where."""
    cli.import_tensorflow()

    import zoo.configurables  # noqa: F401  registers what gin files name
    from zoo.training import publishing

    out = pathlib.Path(options.out or pathlib.Path(options.run) / "saved_model")
    publishing.export_run(options.run, out)
    print(f"model: zoo.load({str(out)!r})")


if __name__ == "__main__":
    cli.run(main)
