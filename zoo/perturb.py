"""Trains a perturbation of a data set: `python -m zoo.perturb --gin_file=gin/perturb_dsprites.gin`.

The result is a SavedModel for the `perturbed` data sets (`data/README.md`).
"""

import pathlib
from collections.abc import Sequence

from zoo import cli


def main(argv: Sequence[str] | None = None) -> None:
    """Parses, trains, says where the results are."""
    parser = cli.gin_parser(
        "zoo.perturb",
        "Train restarts of a VAE, choose the most and the least disentangled by MIG, train a "
        "perturbation of their data set that misleads such models, and export it. The same command "
        "on the same folder goes on where it stopped.",
    )
    parser.add_argument(
        "--run_dir", help="the folder of the run (default: runs/<name of the gin file>)"
    )
    options = parser.parse_args(argv)
    if not options.gin_file:
        parser.error("give a --gin_file, for example --gin_file=gin/perturb_dsprites.gin")
    from zoo import config

    files = [config.find(file) for file in options.gin_file]
    run_dir = options.run_dir or f"runs/{pathlib.Path(files[0]).stem}"
    cli.import_tensorflow()

    from zoo.perturbation.job import EXPORTED, perturb

    manifest = perturb(options.gin_file, options.gin_bindings, run_dir)
    family = manifest["dataset"].partition("/")[0]
    print(
        f"report: {run_dir}/report/index.html\n"
        f"use it: ZOO_PERTURBATION={run_dir}/{EXPORTED} for data.load('{family}/perturbed')"
    )


if __name__ == "__main__":
    cli.run(main)
