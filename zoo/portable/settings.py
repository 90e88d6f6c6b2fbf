"""The settings of a training run of either kind, as its gin files have them."""

import contextlib
from collections.abc import Iterator, Sequence

from zoo import config
from zoo.perturbation import settings as perturbation
from zoo.perturbation.run import prepared
from zoo.training.settings import Settings


@contextlib.contextmanager
def settings_of(
    files: Sequence[str], bindings: Sequence[str], run_dir: str, trust: bool = True
) -> Iterator[tuple[Settings, dict]]:
    """Parses gin files; of a perturbation, also does what is missing of its restarts.

    Args:
        files: gin files.
        bindings: further gin bindings.
        run_dir: the folder of the run.
        trust: whether they, and the configs that a perturbation names, may import modules, as
            `zoo.config.parse` takes it.

    Yields:
        The settings, and what the manifest has beside the usual.

    Raises:
        UserError: anything the user can mend.
    """
    config.parse(files, bindings, trust)
    if config.binds(perturbation.Settings.prefix):
        with prepared(files, bindings, run_dir, trust=trust) as made:
            yield made
    else:
        yield config.made(Settings), {}
