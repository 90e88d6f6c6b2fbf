"""Trains a model from a gin file: `python -m zoo.train --gin_file=gin/beta_vae.gin`."""

import pathlib
from collections.abc import Sequence

from zoo import cli


def main(argv: Sequence[str] | None = None) -> None:
    """Parses, trains, says where the results are."""
    parser = cli.gin_parser(
        "zoo.train",
        "Train a model, score it, export it as a SavedModel and write a report. The same command "
        "on the same folder goes on where it stopped.",
    )
    parser.add_argument(
        "--run_dir", help="the folder of the run (default: runs/<name of the gin file>)"
    )
    options = parser.parse_args(argv)
    if not options.gin_file:
        parser.error("give a --gin_file, for example --gin_file=gin/beta_vae.gin")
    from zoo import config

    files = [config.find(file) for file in options.gin_file]
    run_dir = options.run_dir or f"runs/{pathlib.Path(files[0]).stem}"
    cli.import_tensorflow()
    config.parse(options.gin_file, options.gin_bindings)

    from zoo.training.job import Job

    Job().run(run_dir)
    print(f"report: {run_dir}/report/index.html\nmodel:  zoo.load({run_dir!r})")


if __name__ == "__main__":
    cli.run(main)
