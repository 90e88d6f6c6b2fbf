"""Trains a perturbation of a data set: `python -m zoo.perturb --gin_file=gin/perturb_dsprites.gin`.

The result is a SavedModel for the `perturbed` data sets (`data/README.md`).
"""

import argparse
from collections.abc import Sequence

from zoo import cli


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    return cli.gin_arguments(
        "zoo.perturb",
        "Train restarts of a VAE, choose the most and the least disentangled by MIG, train a "
        "perturbation of their data set that misleads such models, and export it. The same command "
        "on the same folder resumes.",
        "gin/perturb_dsprites.gin",
        argv,
    )


@cli.command(_parse)
def main(options: argparse.Namespace) -> None:
    """Trains, says where the results are."""
    cli.import_tensorflow(options.run_dir)

    import zoo.configurables  # noqa: F401  registers what gin files name
    from zoo.perturbation.publishing import usage
    from zoo.perturbation.run import perturb

    manifest = perturb(options.gin_file, options.gin_bindings, options.run_dir, options.start_over)
    print(
        f"report: {options.run_dir}/report/index.html\nuse it: {usage(manifest, options.run_dir)}"
    )


if __name__ == "__main__":
    cli.run(main)
