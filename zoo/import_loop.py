"""Brings an exported training back: `python -m zoo.import_loop JOB --run_dir=DIR`."""

import argparse
import pathlib
import shlex
from collections.abc import Sequence

from zoo import cli


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser(
        prog="python -m zoo.import_loop",
        description="Write what an exported loop has trained elsewhere into the folder of its run, "
        "which zoo.train then resumes, or scores and exports.",
    )
    parser.add_argument("job", type=pathlib.Path, help="the folder that zoo.export --loop wrote")
    parser.add_argument("--run_dir", required=True, help="the folder of the run")
    parser.add_argument(
        "--result", type=pathlib.Path, help="what run_loop.py wrote (default: result in the job)"
    )
    cli.add_trust(parser)
    return parser.parse_args(argv)


@cli.command(_parse)
def main(options: argparse.Namespace) -> None:
    """Imports, says how far the run is."""
    cli.import_tensorflow(options.run_dir)

    import zoo.configurables  # noqa: F401  registers what gin files name
    from zoo.portable import returned
    from zoo.portable.settings import settings_of

    found = returned.read(options.job, options.result)
    files = [str(options.job / "config.gin")]
    with settings_of(files, [], options.run_dir, options.trust) as (settings, facts):
        returned.bring_back(settings, found, options.run_dir, facts)
    step, steps = found.facts["step"], found.job["steps"]
    run = shlex.quote(options.run_dir)
    verb = "to resume it" if step < steps else "to score and export it"
    print(
        f"{options.run_dir} is at step {step} of {steps}\n"
        f"{verb}: python -m zoo.{settings.prefix} --gin_file={run}/config.gin --run_dir={run}"
    )


if __name__ == "__main__":
    cli.run(main)
