"""UDR of the seeds of a point: a command that the runs of sweeps end with."""

import argparse
import json
import pathlib
import sys
from collections.abc import Sequence

from zoo import cli


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser(
        prog="python -m zoo.sweeps.agreement",
        description="Compare models that differ by their seeds: the UDR of each of them.",
    )
    parser.add_argument("--run", action="append", required=True, help="a run folder; repeatable")
    parser.add_argument(
        "--gin_file", action="append", default=[], help="what they were trained by; repeatable"
    )
    parser.add_argument(
        "--gin_bindings", action="append", default=[], help="and with these; repeatable"
    )
    parser.add_argument("--out", required=True, help="a JSON file: UDR by the name of the folder")
    return parser.parse_args(argv)


@cli.command(_parse)
def main(options: argparse.Namespace) -> None:
    """Encodes the same images by all models and writes each one's UDR."""
    cli.import_tensorflow()
    import zoo.configurables  # noqa: F401  registers what gin files name
    from zoo import config, data, evaluation, hub, runs, scoring

    # The modules that a gin file imports may bring its data set.
    config.parse(options.gin_file, options.gin_bindings)
    first, *others = (hub.load(run) for run in options.run)
    dataset = data.load(first.card["test_dataset"])
    table = evaluation.evaluate(first, dataset, metrics="udr", seed=0, others=others)
    if scoring.broken(table):
        sys.exit("error: UDR failed; see the traceback above")
    row = table["udr"]
    scores = row["parts"].get("model_scores")
    found = {} if scores is None else dict(zip(map(_name, options.run), scores, strict=True))
    kept = {"reason": row["reason"], "udr": {name: float(score) for name, score in found.items()}}
    runs.write_text(pathlib.Path(options.out), json.dumps(kept, indent=1) + "\n")


def _name(run: str) -> str:
    return pathlib.Path(run).name


if __name__ == "__main__":
    cli.run(main)
