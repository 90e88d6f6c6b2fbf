"""Named suites of scores for one model on one data set, or for arrays."""

import contextlib
import inspect
import json
import re
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from zoo.errors import UserError
from zoo.evaluation import checks, facts, intervals
from zoo.evaluation.array_inputs import ArrayInputs
from zoo.evaluation.chance import level
from zoo.evaluation.errors import FailingDecoderError, InputError
from zoo.evaluation.inputs import LACKING, Inputs
from zoo.evaluation.seeds import over_seeds


def evaluate(
    model,
    dataset,
    metrics: str | Sequence[str] = "standard",
    *,
    seed: int | Sequence[int] = 0,
    num_train: int = 10_000,
    num_test: int = 5_000,
    num_jacobian: int = 1_000,
    num_masked: int = 100,
    batch_size: int = 512,
    options: dict[str, dict] | None = None,
    chance: bool = False,
    bootstrap: int = 0,
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
    written to stderr and kept in `parts`. A score whose chance level or interval fails stays.

    Args:
        model: a callable from images `[B, H, W, C]` float32 in [0, 1] to codes `[B, D]`, or an
            object with `encode` (and perhaps `decode`, whose Jacobians are scored at encoded
            points, and `posterior`, the distribution of codes given images, or its `mean` and
            `stddev` by name). An encoder and a decoder, as the halves of a Keras autoencoder, are
            one object by `types.SimpleNamespace(encode=encoder, decode=decoder)`; the autoencoder
            itself, which returns images, is refused.
        dataset: has `images` (indexed by number, with `maximum`; or an array of integers in 0..255
            or of floats in [0, 1]), and `space` (the factor grid
            that numbers the images) or `latents` `[N, K]`, or both. Of a part of a data set, which
            has all that as `whole`, rows are drawn from the images `ids` `[n]` of it.
        metrics: the name of a suite (`fast`, `standard`, `full`, `slots`) or names of scores, as a
            sequence or comma-separated.
        seed: of the sampled rows and of every score that samples. Of several, as `[0, 1, 2]`, the
            table has the means: see below.
        num_train: rows that scores are fitted on.
        num_test: further rows that predictions are scored on.
        num_jacobian: how many of the test rows have their decoder's Jacobian taken.
        num_masked: how many test images models with slots are scored on: their decoders are large,
            and a Jacobian may take seconds an image.
        batch_size: how many images are encoded at once.
        options: keyword arguments of single scores, `{"dci": {"predictor": "gbt"}}`.
        chance: whether each score is also computed five times more with factors permuted, or
            codes or latents turned at random: see `zoo.evaluation.chance`.
        bootstrap: how many times images are resampled for the 95 % interval of each score over
            images, not over training seeds; 0 for none, else at least 10: see
            `zoo.evaluation.intervals`. It takes as many times the score's own seconds.
        others: further models, trained alike but for their seeds, that `udr` compares it with. The
            row's score is this model's; `model_scores` among the parts are those of all.

    Returns:
        The table, one row per score in the order asked for: `score` (None where left out), `reason`
        (None where scored), `seconds` of the score, `encoding_seconds` spent on images it was the
        first to ask for, and `parts`, everything else the score returned. With `chance` also that,
        the mean of the five, None where there is none or where it fails by the `chance_reason`.
        With `bootstrap` also `interval`, its two ends, None where there is none by the
        `interval_reason`. With several seeds `score`, `chance` and the ends of `interval` are means
        over them, `per_seed` has the scores, `seed_std` their standard deviation, and `parts` are
        those of the first.

    Raises:
        InputError: an unknown suite or score or option, numbers of rows that are not positive, a
            seed that is no number, a `bootstrap` of 1 to 9, a data set without images.
    """
    first = checks.seeds(seed)[0]
    intervals.check_times(bootstrap)
    checks.whole(1, num_train=num_train, num_test=num_test, num_jacobian=num_jacobian)
    checks.whole(1, num_masked=num_masked, batch_size=batch_size)
    sizes = num_train, num_test, num_jacobian, num_masked
    inputs = Inputs(model, dataset, first, sizes, batch_size, others)
    names = names_of(metrics, options or {}, lacking=inputs.lacking)
    return _of_seeds(seed, names, inputs, options or {}, chance, bootstrap)


def evaluate_arrays(
    arrays: Mapping[str, Any],
    metrics: str | Sequence[str] = "standard",
    *,
    seed: int | Sequence[int] = 0,
    options: dict[str, dict] | None = None,
    chance: bool = False,
    bootstrap: int = 0,
) -> dict[str, dict]:
    """Scores arrays, whatever they come from, with the scores of a suite.

    A score is computed if its `needs` are among the arrays; others are left out with their reason.
    Where there is no test half, scores that need one have two thirds of the rows for training and
    the rest for testing, divided at random by the seed; all others are computed from all rows.

    Args:
        arrays: by the names that `needs` has, such as `codes` `[N, D]`, `factors` `[N, F]`
            (integers from 0), perhaps `latents` `[N, K]` (the factors if left out), `categorical`
            `[F]` (which factors have no order), `codes_test` and `factors_test` `[M, ...]`,
            `jacobians` `[n, *output_shape, D]`, `masks` and `predicted_masks` `[n, H, W]`.
        metrics: as in `evaluate`.
        seed: of the division, and of every score that samples; or several, as in `evaluate`.
        options: as in `evaluate`.
        chance: as in `evaluate`.
        bootstrap: as in `evaluate`.

    Returns:
        The table, as in `evaluate`.

    Raises:
        InputError: an unknown array (the nearest is named), suite, score or option; numbers of rows
            that differ; part of a test half; a seed that is no number.
    """
    names = names_of(metrics, options or {}, allowed=lambda name: True)
    inputs = ArrayInputs(arrays, checks.seeds(seed)[0])
    intervals.check_times(bootstrap)
    return _of_seeds(seed, names, inputs, options or {}, chance, bootstrap)


def scores_of(arrays: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the scores that arrays are enough for without any option."""
    inputs, found = ArrayInputs(arrays, 0), []
    for name in facts.names():
        if inputs.are_enough_for(facts.of(name)):
            with contextlib.suppress(InputError):
                _check_options(name, {})
                found.append(name)
    return tuple(found)


def _of_seeds(seed: int | Sequence[int], names: Sequence[str], inputs: Inputs | ArrayInputs, *how):
    """The table of one seed, or the means of the tables of several."""
    seeds = checks.seeds(seed)
    every = [inputs, *map(inputs.reseeded, seeds[1:])]
    tables = [_table(names, each, *how) for each in every]
    return tables[0] if np.ndim(seed) == 0 else over_seeds(tables, seeds)


def _table(
    names: Sequence[str],
    inputs: Inputs | ArrayInputs,
    options: Mapping[str, Mapping],
    chance: bool,
    bootstrap: int,
) -> dict[str, dict]:
    """The rows of scores."""
    table = {}
    for name in names:
        start, encoded_before = time.perf_counter(), inputs.encoding_seconds
        row = {"score": None, "reason": None, "parts": {}}
        row |= {"chance": None, "chance_reason": None} if chance else {}
        row |= {"interval": None, "interval_reason": None} if bootstrap else {}
        try:
            row |= _scored(name, inputs, options.get(name, {}), chance, bootstrap, table)
        except Exception as error:
            row["reason"], row["parts"] = _reason(error, table)
        encoding = inputs.encoding_seconds - encoded_before
        row["seconds"] = time.perf_counter() - start - encoding
        row["encoding_seconds"] = encoding
        table[name] = row
    return table


def _scored(
    name: str,
    inputs: Inputs | ArrayInputs,
    options: Mapping,
    chance: bool,
    bootstrap: int,
    table: Mapping[str, Mapping],
) -> dict:
    """What a row says of a score: itself, its parts, its chance level and its interval.

    Numbers of every pixel, which would take megabytes, are left out of the parts. The chance level
    is None where it has none. Where that level or the interval fails, the score stays, with the
    reason beside it.
    """
    function, known = facts.function(name), facts.of(name)
    needed, settings = inputs.arguments(known)
    if "blocks" in options:
        # The parts of the latents go with the blocks of the model.
        settings.pop("latent_blocks", None)
    settings = {**settings, **options}
    parts = function(*needed, **settings)
    value = float(parts.pop("score"))
    row = {"score": value, "parts": {k: v for k, v in parts.items() if _is_small(v)}}
    if chance:
        try:
            row["chance"] = level(function, known, needed, settings, inputs.seed)
        except Exception as error:
            row["chance_reason"], trace = _reason(error, table)
            row["parts"] |= trace
    if bootstrap:
        how = settings, value, bootstrap, inputs.seed
        try:
            row["interval"] = intervals.interval(function, known, needed, *how)
        except Exception as error:
            row["interval_reason"], trace = _reason(error, table)
            row["parts"] |= trace
    return row


def _is_small(part: Any) -> bool:
    """Whether a part has no number of every pixel; blocks of several sizes are no array at all."""
    try:
        return np.ndim(part) < 3
    except ValueError:
        return True


def _reason(error: Exception, table: Mapping[str, Mapping]) -> tuple[str, dict]:
    """Why something has no value, and the parts that tell more: of a defect its traceback."""
    if isinstance(error, FailingDecoderError):
        return _defect(error.__cause__ or error, table)
    return (str(error), {}) if isinstance(error, UserError) else _defect(error, table)


def _defect(error: BaseException, table: Mapping[str, Mapping]) -> tuple[str, dict]:
    """The reason and the parts of a score that failed; its traceback is shown, once in a table."""
    trace = "".join(traceback.format_exception(error))
    if all(row["parts"].get("traceback") != trace for row in table.values()):
        sys.stderr.write(trace)
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first}".rstrip(": "), {"traceback": trace}


def _is_computable(name: str) -> bool:
    """Whether a model and a data set are enough for a score."""
    return all(hasattr(Inputs, need) for need in facts.of(name).needs)


def names_of(
    metrics: str | Sequence[str],
    options: Mapping[str, Mapping] | None = None,
    allowed: Callable[[str], bool] = _is_computable,
    lacking: Sequence[str] = LACKING,
) -> tuple[str, ...]:
    """The names of the scores of a suite, or of those asked for; see `evaluate`.

    Args:
        metrics: as in `evaluate`.
        options: as in `evaluate`; None where they are not known yet, and so not checked.
        allowed: whether a score may be asked for; others are said to need to be called by hand.
        lacking: settings that some models have, and this one has not.

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
                f"or scores of {', '.join(filter(allowed, facts.names()))}"
            )
        if not allowed(name):
            raise InputError(
                f"{name} needs {' and '.join(facts.of(name).needs)}, which a model and a data set "
                f"alone do not have: call zoo.evaluation.{name} with them"
            )
        if options is not None:
            _check_options(name, options.get(name, {}), lacking)
    unused = sorted(set(options or {}) - set(metrics))
    if unused:
        raise InputError(f"options for {unused[0]!r}, which is not among the scores asked for")
    return tuple(metrics)


def _check_options(name: str, options: Mapping, lacking: Sequence[str] = LACKING) -> None:
    known = facts.of(name)
    signature = inspect.signature(facts.function(name))
    made = dict.fromkeys(setting for setting in known.settings if setting not in lacking)
    try:
        signature.bind(*known.needs, **{**made, **options})
    except TypeError as error:
        missing, hint = re.search(r"missing .*'(\w+)'", str(error)), ""
        if missing:
            example = json.dumps({name: {missing[1]: "..."}})
            hint = f"; give it as options={example}, --options or train.score_options"
        raise InputError(f"the options of {name}: {error}{hint}") from error
    for option, value in options.items():
        parameter = signature.parameters.get(option)
        if parameter and not checks.is_of_kind(value, parameter.annotation):
            kind = inspect.formatannotation(parameter.annotation).replace("collections.abc.", "")
            raise InputError(f"the options of {name}: {option} is {value!r}; give {kind}")
    if "seed" in options:
        checks.whole(0, seed=options["seed"])
