"""Trains over values of bindings: `python -m zoo.sweep --gin_file=... --set 'BetaVAE.beta=1,4'`."""

import argparse
import pathlib
from collections.abc import Sequence

from zoo import cli
from zoo.scheduling import command
from zoo.scheduling.jobs import DONE


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser(
        prog="python -m zoo.sweep",
        description="Train every value of some bindings with several seeds, and write a table and "
        "a page of their scores. The same command again passes over finished runs and resumes "
        "broken ones; it may have more values and more seeds.",
    )
    parser.add_argument(
        "--gin_file", action="append", required=True, metavar="FILE", help="as of zoo.train"
    )
    parser.add_argument(
        "--gin_bindings", action="append", default=[], metavar="BINDING", help="of all runs"
    )
    parser.add_argument(
        "--set",
        action="append",
        required=True,
        metavar="NAME=VALUE,VALUE",
        help="the values of a binding; repeatable: all combinations are run",
    )
    parser.add_argument("--seeds", type=command.positive, default=5, help="how many of each (5)")
    parser.add_argument("--out", required=True, help="the folder of all runs, tables and the page")
    command.add_flags(parser)
    return parser.parse_args(argv)


@cli.command(_parse)
def main(options: argparse.Namespace) -> None:
    """Checks, trains what is missing, writes the tables, tells what failed."""
    from zoo import config
    from zoo.sweeps import check, grid

    for file in options.gin_file:
        config.find(file)
    axes = tuple(map(grid.axis, options.set))
    grid.require_apart(axes, options.gin_bindings)
    out = pathlib.Path(options.out)
    sweep = grid.Sweep(
        tuple(options.gin_file), tuple(options.gin_bindings), axes, options.seeds, out
    )
    sweep.require_same()
    table = sweep.jobs()
    if options.status:
        command.show_status(table, options.json)
        return
    command.require_engine(options)
    environment = command.environment(options)
    if any(job.seen() != DONE for job in table):
        check.check(sweep, environment)
    sweep = sweep.of_one_precision(environment).claim()
    outcome = command.run(sweep.jobs(), options)

    from zoo.sweeps import summary

    compared = command.run(summary.agreements(sweep), options, noun="comparisons of seeds")
    for path in summary.write(sweep):
        command.say(str(path), options)
    outcome.then(compared).end()


if __name__ == "__main__":
    cli.run(main)
