"""Trains a model from a gin file: `python -m zoo.train --gin_file=gin/beta_vae.gin`."""

import argparse
import pathlib
from collections.abc import Sequence

from zoo import cli


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    return cli.gin_arguments(
        "zoo.train",
        "Train a model, score it, export it as a SavedModel and write a report. The same command "
        "on the same folder resumes.",
        "gin/beta_vae.gin",
        argv,
    )


@cli.command(_parse)
def main(options: argparse.Namespace) -> None:
    """Trains, says where the results are."""
    cli.import_tensorflow(options.run_dir)
    import zoo.configurables  # noqa: F401  registers what gin files name
    from zoo import config, runs
    from zoo.training import workers
    from zoo.training.run import train
    from zoo.training.settings import Settings

    config.parse(options.gin_file, options.gin_bindings)
    settings = config.made(Settings)
    train(settings, options.run_dir, start_over=options.start_over)
    if not workers.team(settings.devices).chief:
        return
    folder = runs.RunFolder(pathlib.Path(options.run_dir))
    if settings.publish == "all":
        print(f"report: {options.run_dir}/report/index.html")
        # Models without codes are not exported, nor scored.
        if folder.saved_model.is_dir():
            print(f"model:  zoo.load({options.run_dir!r})")
    elif folder.scores.is_file():
        print(f"scores: {options.run_dir}/scores.json")


if __name__ == "__main__":
    cli.run(main)
