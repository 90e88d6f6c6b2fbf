"""Named suites of scores for one model on one data set."""

import inspect
import sys
import time
import traceback
from collections.abc import Mapping, Sequence

import numpy as np

from zoo import evaluation
from zoo.errors import UserError
from zoo.evaluation import checks, facts
from zoo.evaluation.errors import FailingDecoderError, InputError
from zoo.evaluation.inputs import Inputs


def evaluate(
    model,
    dataset,
    metrics: str | Sequence[str] = "standard",
    *,
    seed: int = 0,
    num_train: int = 10_000,
    num_test: int = 5_000,
    num_jacobian: int = 1_000,
    num_masked: int = 100,
    batch_size: int = 512,
    options: dict[str, dict] | None = None,
    others: Sequence = (),
) -> dict[str, dict]:
    """Scores a representation, and its decoder if there is one, on a data set.

    Rows are drawn uniformly from the factor grid, independently and with replacement, with the
    sample sizes of Locatello et al. 2019; without a grid they are drawn without replacement. Of a
    split of a data set (`ids`) only its own images are drawn, but for `beta_vae_score` and
    `factor_vae_score`: they hold factors fixed and so need images of the whole grid. Each
    image is encoded at most once, and only if a score asks for it.

    A score that cannot be computed (no decoder, no factors, codes of the wrong kind: an
    `InputError`) is left out with its reason. So is one that fails with any other exception, a
    defect of the model or of this package: the exception is its reason, and its traceback is
    written to stderr and kept in `parts`.

    Args:
        model: a callable from images `[B, H, W, C]` float32 in [0, 1] to codes `[B, D]`, or an
            object with `encode` (and perhaps `decode`, whose Jacobians are scored at encoded
            points, and `posterior`, the distribution of codes given images, or its `mean` and
            `stddev` by name).
        dataset: has `images` (indexed by number, with `maximum`; or an array of integers in 0..255
            or of floats in [0, 1]), and `space` (the factor grid
            that numbers the images) or `latents` `[N, K]`, or both. Of a part of a data set, which
            has all that as `whole`, rows are drawn from the images `ids` `[n]` of it.
        metrics: the name of a suite (`fast`, `standard`, `full`, `slots`) or names of scores, as a
            sequence or with commas between.
        seed: of the sampled rows and of every score that samples.
        num_train: rows that scores are fitted on.
        num_test: further rows that predictions are scored on.
        num_jacobian: how many of the test rows have their decoder's Jacobian taken.
        num_masked: how many test images models with slots are scored on: their decoders are large,
            and a Jacobian may take seconds an image.
        batch_size: how many images are encoded at once.
        options: keyword arguments of single scores, `{"dci": {"predictor": "gbt"}}`.
        others: further models, trained alike but for their seeds, that `udr` compares it with.

    Returns:
        The table, one row a score in the order asked for: `score` (None where left out), `reason`
        (None where scored), `seconds` of the score, `encoding_seconds` spent on images it was the
        first to ask for, and `parts`, everything else the score returned.

    Raises:
        InputError: an unknown suite or score or option, numbers of rows that are not positive, a
            seed that is no number, a data set without images.
    """
    names = names_of(metrics, options or {})
    checks.whole(0, seed=seed)
    checks.whole(1, num_train=num_train, num_test=num_test, num_jacobian=num_jacobian)
    checks.whole(1, num_masked=num_masked, batch_size=batch_size)
    sizes = num_train, num_test, num_jacobian, num_masked
    inputs = Inputs(model, dataset, seed, sizes, batch_size, others)
    table = {}
    for name in names:
        start, encoded_before = time.perf_counter(), inputs.codes_of.seconds
        row = {"score": None, "reason": None, "parts": {}}
        try:
            parts = _scored(name, inputs, (options or {}).get(name, {}))
            row["score"], row["parts"] = float(parts.pop("score")), parts
        except FailingDecoderError as error:
            row["reason"], row["parts"] = _defect(error.__cause__ or error, table)
        except UserError as error:
            row["reason"] = str(error)
        except Exception as error:
            row["reason"], row["parts"] = _defect(error, table)
        encoding = inputs.codes_of.seconds - encoded_before
        row["seconds"] = time.perf_counter() - start - encoding
        row["encoding_seconds"] = encoding
        table[name] = row
    return table


def _scored(name: str, inputs: Inputs, options: Mapping) -> dict:
    """What a score returns, but for numbers of every pixel, which would take megabytes."""
    known = facts.of(name)
    settings = {setting: getattr(inputs, setting) for setting in known.settings}
    needed = [getattr(inputs, need) for need in known.needs]
    parts = getattr(evaluation, name)(*needed, **{**settings, **options})
    return {part: value for part, value in parts.items() if np.ndim(value) < 3}


def _defect(error: BaseException, table: Mapping[str, Mapping]) -> tuple[str, dict]:
    """The reason and the parts of a score that failed; its traceback is shown, once in a table."""
    trace = "".join(traceback.format_exception(error))
    if all(row["parts"].get("traceback") != trace for row in table.values()):
        sys.stderr.write(trace)
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first}".rstrip(": "), {"traceback": trace}


def names_of(
    metrics: str | Sequence[str], options: Mapping[str, Mapping] | None = None
) -> tuple[str, ...]:
    """The names of the scores of a suite, or of those asked for; see `evaluate`.

    Args:
        metrics: as in `evaluate`.
        options: as in `evaluate`; None where they are not known yet, and so not checked.

    Raises:
        InputError: an unknown suite or score, one that needs more than a model and a data set, or
            options for a score that is not among them or does not take them.
    """
    if isinstance(metrics, str):
        metrics = facts.suites().get(metrics) or [name.strip() for name in metrics.split(",")]
    for name in metrics:
        if name not in facts.names():
            raise InputError(
                f"unknown suite or score {name!r}: choose a suite ({', '.join(facts.suites())}) "
                f"or scores of {', '.join(filter(_is_computable, facts.names()))}"
            )
        if not _is_computable(name):
            raise InputError(
                f"{name} needs {' and '.join(facts.of(name).needs)}, which a model and a data set "
                f"alone do not have: call zoo.evaluation.{name} with them"
            )
        if options is not None:
            _check_options(name, options.get(name, {}))
    unused = sorted(set(options or {}) - set(metrics))
    if unused:
        raise InputError(f"options for {unused[0]!r}, which is not among the scores asked for")
    return tuple(metrics)


def _is_computable(name: str) -> bool:
    """Whether a model and a data set are enough for a score."""
    return all(hasattr(Inputs, need) for need in facts.of(name).needs)


def _check_options(name: str, options: Mapping) -> None:
    known = facts.of(name)
    signature = inspect.signature(getattr(evaluation, name))
    try:
        signature.bind(*known.needs, **{**dict.fromkeys(known.settings), **options})
    except TypeError as error:
        raise InputError(f"the options of {name}: {error}") from error
