"""Time and agreement of the scores beside plain implementations, in one run.

    python benchmarks/metrics.py
    python benchmarks/metrics.py --skip_sklearn  # without the slow reference of DCI
    python benchmarks/metrics.py --dci rotated --seed 1 --rows 6000  # DCI alone, on other codes
    python benchmarks/metrics.py --encoding beta_vae/dsprites  # how fast images become codes

DCI is compared with scikit-learn's gradient boosting on one thread, on three representations of the
dSprites factors; the voting scores with one vote at a time; the others by their time alone.
Codes come from a formula, so that no encoder is timed.

`--encoding` takes turns between encoding as the scores do it, of a loaded model and of a new model
in Keras, that model's encoder alone on a batch in memory, called eagerly and compiled, and its
training step.
"""

import argparse
import time
import warnings

import numpy as np
import threadpoolctl

from zoo import evaluation

SIZES = (3, 6, 40, 32, 32)
TRAIN, TEST = 10_000, 5_000
KINDS = ("aligned", "rotated", "partial")


def codes_of(factors: np.ndarray, kind: str, seed: int = 0) -> np.ndarray:
    """`[N, 7]` codes (5 if `rotated`): those of the factors, mixed or not, with noise."""
    rng = np.random.default_rng(seed)
    values = (factors + 0.5) / np.array(SIZES) * 2 - 1
    rotation = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    if kind == "aligned":
        noise = 0.1 * rng.normal(size=(len(values), 2))
        return np.concatenate([values + 0.05 * rng.normal(size=values.shape), noise], axis=1)
    if kind == "rotated":
        return values @ rotation + 0.05 * rng.normal(size=values.shape)
    angle = np.pi / 6
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    partly = values.copy()
    partly[:, :2] = values[:, :2] @ turn
    partly[:, 3] = 0.7 * values[:, 3] + 0.5 * values[:, 4] * values[:, 2]
    partly += 0.1 * rng.normal(size=values.shape)
    dead, noise = np.zeros((len(values), 1)), rng.normal(size=(len(values), 1))
    return np.concatenate([partly, dead, noise], axis=1)


def timed(function):
    """The result of a call and its wall-clock seconds."""
    start = time.perf_counter()
    result = function()
    return result, time.perf_counter() - start


def compare_dci(case, kind: str) -> None:
    """Prints one line of agreement and of times."""
    codes, factors, codes_test, _ = case
    fast, ours = timed(lambda: evaluation.dci(*case))
    importances = np.zeros_like(fast["importance"])
    start = time.perf_counter()
    with threadpoolctl.threadpool_limits(1):
        from sklearn.ensemble import GradientBoostingClassifier

        for f in range(len(SIZES)):
            model = GradientBoostingClassifier().fit(codes, factors[:, f])
            model.predict(codes), model.predict(codes_test)
            importances[:, f] = model.feature_importances_
    theirs = time.perf_counter() - start
    exact = [_concentration(importances), _concentration(importances.T)]
    found = [fast["disentanglement"], fast["completeness"]]
    print(
        f"dci {kind:8s} ours {ours:7.1f} s   scikit-learn {theirs:7.1f} s   "
        f"ratio {theirs / ours:5.1f}   disentanglement {found[0]:.4f} / {exact[0]:.4f}   "
        f"completeness {found[1]:.4f} / {exact[1]:.4f}",
        flush=True,
    )


def _concentration(importance: np.ndarray) -> float:
    import scipy.stats

    each = 1 - scipy.stats.entropy(importance.T + 1e-11, base=importance.shape[1])
    return float(np.average(each, weights=importance.sum(1)))


def plain_factor_vae(represent, votes: int, seed: int = 0) -> None:
    """One vote at a time, as the published implementation does, without its encoder."""
    rng = np.random.default_rng(seed)
    variances = represent(rng.integers(SIZES, size=(10_000, 5))).var(0, ddof=1)
    for _ in range(votes):
        rows = rng.integers(SIZES, size=(64, 5))
        fixed = rng.integers(5)
        rows[:, fixed] = rows[0, fixed]
        (represent(rows).var(0, ddof=1) / variances).argmin()


def compare_encoding(name: str, rounds: int = 5, count: int = 8192, batch: int = 512) -> None:
    """Prints the images a second of each way from images to codes, and of a training step."""
    import tensorflow as tf

    import zoo
    from zoo import data
    from zoo.data import sampling
    from zoo.evaluation.encoding import CachedCodes, images_in_unit_range
    from zoo.models.vae import VAE
    from zoo.optim.optimizers import Adam
    from zoo.training.loop import Loop

    loaded = zoo.load(name)
    dataset = data.load(loaded.card["dataset"])
    model = VAE(dataset.images.shape[1:])
    model.bind(Adam(1e-3))
    loop = Loop(model, sampling.Independent(dataset, 64), sampling.tensors(dataset), seed=0)
    numbers = np.random.default_rng(0).permutation(len(dataset.images))[:count]
    images = tf.constant(images_in_unit_range(dataset.images, numbers[:batch]))
    forward = tf.function(model.encode)

    def coded(encoder):
        return lambda: CachedCodes(encoder, dataset.images, batch)(numbers)

    ways = {
        f"scores, {name} loaded": (coded(loaded.encode), count),
        "scores, VAE in Keras": (coded(model.encode), count),
        f"its encoder alone, {batch} eagerly": (lambda: model.encode(images).numpy(), batch),
        f"its encoder alone, {batch} compiled": (lambda: forward(images).numpy(), batch),
        "its training step, 64": (lambda: loop.run(0, 20), 20 * 64),
    }
    seconds = {way: [] for way in ways}
    for turn in range(rounds + 1):
        for way, (function, images_done) in ways.items():
            used, begun = time.process_time(), time.perf_counter()
            function()
            spent = time.perf_counter() - begun, time.process_time() - used
            if turn:
                seconds[way].append(np.divide(spent, images_done))
    print(f"{'':40} {'images/s':>9} {'best':>9} {'processor us an image':>22}   ({rounds} turns)")
    for way, found in seconds.items():
        elapsed, used = np.transpose(found)
        rates = 1 / np.median(elapsed), 1 / elapsed.min()
        print(f"{way:40} {rates[0]:9.0f} {rates[1]:9.0f} {1e6 * np.median(used):22.0f}")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--skip_sklearn", action="store_true", help="leave the slow reference out")
    parser.add_argument("--dci", nargs="+", choices=KINDS, help="only DCI, on these codes")
    parser.add_argument("--seed", type=int, default=0, help="of factors and codes (0)")
    parser.add_argument("--rows", type=int, default=TRAIN + TEST, help="two thirds are fitted on")
    parser.add_argument("--encoding", metavar="MODEL", help="only encoding, of a pretrained model")
    options = parser.parse_args()
    if options.encoding:
        compare_encoding(options.encoding)
        return
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(options.seed)
    factors = rng.integers(SIZES, size=(options.rows, 5))
    cut = 2 * options.rows // 3
    cases = {}
    for kind in KINDS:
        codes = codes_of(factors, kind, options.seed)
        cases[kind] = (codes[:cut], factors[:cut], codes[cut:], factors[cut:])
    # What scikit-learn and LightGBM load on first use is not theirs to be timed with.
    small = tuple(part[:300] for part in cases["partial"])
    evaluation.dci(*small), evaluation.sap(*small), evaluation.explicitness(*small)
    print(f"{cut} training and {options.rows - cut} test rows, seed {options.seed}")
    if options.dci:
        for kind in options.dci:
            compare_dci(cases[kind], kind)
        return

    # The grid's codes in a table, as `zoo.evaluation.represent` keeps them once encoded.
    grid = np.stack(np.unravel_index(np.arange(np.prod(SIZES)), SIZES), axis=1)
    table = codes_of(grid, "partial").astype(np.float32)
    strides = np.cumprod((1, *SIZES[:0:-1]))[::-1]

    def represent(rows: np.ndarray) -> np.ndarray:
        return table[rows @ strides]

    case, total = cases["partial"], 0.0
    suite = {
        "mig": lambda: evaluation.mig(*case[:2]),
        "modularity": lambda: evaluation.modularity(*case[:2]),
        "sap": lambda: evaluation.sap(*case),
        "explicitness": lambda: evaluation.explicitness(*case),
        "dci": lambda: evaluation.dci(*case),
        "factor_vae": lambda: evaluation.factor_vae_score(represent, SIZES, 0),
        "beta_vae": lambda: evaluation.beta_vae_score(represent, SIZES, 0),
        "irs": lambda: evaluation.irs(*case[:2]),
        "ds": lambda: evaluation.disentanglement_score(*case[:2], [True] + 4 * [False]),
    }
    print("representation `partial`")
    for name, score in suite.items():
        result, seconds = timed(score)
        total += seconds
        print(f"{name:14s} {result['score']:8.4f} {seconds:7.2f} s", flush=True)
    print(f"{'together':14s} {'':8s} {total:7.2f} s")
    _, plain = timed(lambda: plain_factor_vae(represent, TRAIN + TEST))
    _, ours = timed(suite["factor_vae"])
    print(f"factor_vae: one vote at a time {plain:.2f} s, ours {ours:.2f} s: {plain / ours:.1f}x")
    if not options.skip_sklearn:
        for kind, each in cases.items():
            compare_dci(each, kind)


if __name__ == "__main__":
    main()
