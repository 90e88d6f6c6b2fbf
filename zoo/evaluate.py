"""Scores a model: `python -m zoo.evaluate --run=DIR` or `--model=NAME`."""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from zoo import cli


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser(
        prog="python -m zoo.evaluate",
        description="Score a trained model with a suite of metrics and print the table. With "
        "--run the run's scores.json, model card and report are brought up to date.",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--run", help="the folder of a run")
    which.add_argument("--model", help="the name of a pretrained model, or an exported folder")
    parser.add_argument("--dataset", help="score on this data set instead of the training set")
    parser.add_argument(
        "--metrics", default="standard", help="a suite or scores with commas between (standard)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything sampled (0)")
    parser.add_argument("--out", help="also write the scores to this JSON file")
    return parser.parse_args(argv)


@cli.command(_parse)
def main(options: argparse.Namespace) -> None:
    """Scores, prints the table, keeps the scores."""
    cli.import_tensorflow()

    from zoo import scoring

    table = scoring.score(
        options.run or options.model, options.dataset, options.metrics, options.seed
    )
    scoring.show(table)
    if options.run and not options.dataset:
        scoring.keep(pathlib.Path(options.run), table)
    if options.out:
        from zoo import runs

        runs.write_text(pathlib.Path(options.out), scoring.text(scoring.flat(table)))
    if failed := scoring.broken(table):
        sys.exit(f"error: {', '.join(failed)} failed; see the traceback above")


if __name__ == "__main__":
    cli.run(main)
