"""Exports a run as a SavedModel: `python -m zoo.export --run=DIR --out=DIR`."""

import pathlib
from collections.abc import Sequence

from zoo import cli


def main(argv: Sequence[str] | None = None) -> None:
    """Parses, exports, says where."""
    parser = cli.Parser(
        prog="python -m zoo.export",
        description="Export a run's newest checkpoint as a SavedModel, finished or not.",
    )
    parser.add_argument("--run", required=True, help="the folder of a run")
    parser.add_argument("--out", help="where (default: saved_model in that folder)")
    options = parser.parse_args(argv)
    cli.import_tensorflow()

    import zoo.configurables  # noqa: F401  registers what gin files name
    from zoo.training import publishing

    out = pathlib.Path(options.out or pathlib.Path(options.run) / "saved_model")
    publishing.export_run(options.run, out)
    print(f"model: zoo.load({str(out)!r})")


if __name__ == "__main__":
    cli.run(main)
