"""Rewrites the page of one run, or writes one of several: `python -m zoo.report RUN...`."""

import argparse
from collections.abc import Sequence

from zoo import cli


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser(
        prog="python -m zoo.report",
        description="Write one HTML page of several runs side by side: the settings that differ, "
        "scores, curves and pictures. For a single run, rewrite its report.",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="the folders of runs")
    parser.add_argument(
        "--out", help="the page of several runs; that of a single one is in its folder `report`"
    )
    options = parser.parse_args(argv)
    if len(options.runs) > 1 and not options.out:
        parser.error("several runs need --out, the page to write")
    if len(options.runs) == 1 and options.out:
        parser.error("--out is for several runs; name a second one, or leave it out")
    return options


@cli.command(_parse)
def main(options: argparse.Namespace) -> None:
    """Writes the page, says where."""
    from zoo.report import comparison, page

    if options.out:
        print(f"report: {comparison.write(options.runs, options.out)}")
    else:
        print(f"report: {page.write_from_run(options.runs[0])}")


if __name__ == "__main__":
    cli.run(main)
