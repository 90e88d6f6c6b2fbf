"""Time and agreement of the scores beside plain implementations, in one run.

    python benchmarks/metrics.py --targets  # a table: the suite, intervals, a million rows
    python benchmarks/metrics.py
    python benchmarks/metrics.py --skip_sklearn  # without the slow reference of DCI
    python benchmarks/metrics.py --dci rotated --seed 1 --rows 6000  # DCI alone, on other codes
    python benchmarks/metrics.py --encoding beta_vae/dsprites  # how fast images become codes
    python benchmarks/metrics.py --bootstrap 200  # only intervals of the fast suite
    python benchmarks/metrics.py --large  # only a million rows, with the peak of memory so far

DCI is compared with scikit-learn's gradient boosting on one thread, on three representations of the
dSprites factors; the voting scores with one vote at a time; others with the formulas of
disentanglement_lib, as plainly as they are stated. Seconds are of the clock and, in parentheses, of
the processor (all threads).
Codes come from a formula, so that no encoder is timed.

`--encoding` takes turns between encoding as the scores do it, of a loaded model and of a new model
in Keras, that model's encoder alone on a batch in memory, called eagerly and compiled, and its
training step.
"""

import argparse
import resource
import time
import warnings
from collections.abc import Callable, Iterator

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


def plain_mig(codes: np.ndarray, factors: np.ndarray) -> float:
    """MIG by scikit-learn's mutual information of labels, a pair at a time."""
    from sklearn.metrics import mutual_info_score

    bins = [np.digitize(c, np.histogram(c, 20)[1][:-1]) for c in codes.T]
    information = np.array([[mutual_info_score(v, b) for v in factors.T] for b in bins])
    entropies = np.array([mutual_info_score(v, v) for v in factors.T])
    ordered = np.sort(information, axis=0)
    return float(np.mean((ordered[-1] - ordered[-2]) / entropies))


def plain_total_correlation(codes: np.ndarray) -> float:
    """The total correlation of a Gaussian by determinants."""
    covariance = np.cov(codes[:, np.ptp(codes, axis=0) > 0].T)
    return 0.5 * (np.log(np.diag(covariance)).sum() - np.linalg.slogdet(covariance)[1])


def plain_mcc(codes: np.ndarray, factors: np.ndarray) -> float:
    """MCC by the matrix of all correlations and the best assignment."""
    from scipy.optimize import linear_sum_assignment

    count = codes.shape[1]
    # A dead code has no correlation.
    correlation = np.nan_to_num(np.abs(np.corrcoef(codes.T, factors.T)))[:count, count:]
    return float(correlation[linear_sum_assignment(-correlation)].mean())


def plain_sap(codes, factors, codes_test, factors_test) -> float:
    """SAP with a support vector machine a pair, on one thread."""
    from sklearn.svm import LinearSVC

    found = np.zeros((codes.shape[1], factors.shape[1]))
    for d, f in np.ndindex(*found.shape):
        model = LinearSVC(C=0.01, class_weight="balanced")
        model.fit(codes[:, [d]], factors[:, f])
        found[d, f] = np.mean(model.predict(codes_test[:, [d]]) == factors_test[:, f])
    ordered = np.sort(found, axis=0)
    return float(np.mean(ordered[-1] - ordered[-2]))


# Those that take codes and factors, or codes alone, and no test half.
PLAIN = {
    "mig": (plain_mig, ("codes", "factors")),
    "mcc": (plain_mcc, ("codes", "factors")),
    "gaussian_total_correlation": (plain_total_correlation, ("codes",)),
}


def compare_plain(arrays: dict, names=tuple(PLAIN)) -> None:
    """Prints one line per score: ours and the plain formula on the same arrays."""
    for name in names:
        plain, needs = PLAIN[name]
        needed = [arrays[need] for need in needs]
        ours, seconds, processor = measured(lambda n=name, a=needed: getattr(evaluation, n)(*a))
        theirs, plain_seconds, plain_processor = measured(lambda p=plain, a=needed: p(*a))
        print(
            f"{name:27s} ours {ours['score']:8.4f} {seconds:7.2f} s ({processor:.2f} s)   plain "
            f"{theirs:8.4f} {plain_seconds:7.2f} s ({plain_processor:.2f} s)   ratio of processor "
            f"seconds {plain_processor / processor:.1f}",
            flush=True,
        )


def peak_gib() -> float:
    """The peak resident memory of this process so far, which never falls."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def large(rows: int = 1_000_000) -> Iterator[tuple[str, float, float, float, float]]:
    """Scores a million rows of ten codes: name, value, seconds, those of the processor, peak.

    The peak is that of the process so far: a score has at most as much as is said of it.
    """
    rng = np.random.default_rng(0)
    factors = rng.integers(SIZES, size=(rows, 5))
    codes = rng.normal(size=(rows, 10)).astype(np.float32)
    codes[:, :5] += factors
    for name, (_, needs) in PLAIN.items():
        needed = [{"codes": codes, "factors": factors}[need] for need in needs]
        found, *spent = measured(lambda n=name, a=needed: getattr(evaluation, n)(*a))
        yield name, found["score"], *spent, peak_gib()


def intervals_of_the_fast_suite(case, times: int) -> tuple[dict, float, float]:
    """The table of the fast suite with intervals, and the seconds it took."""
    arrays = dict(zip(("codes", "factors", "codes_test", "factors_test"), case, strict=True))
    return measured(lambda: evaluation.evaluate_arrays(arrays, "fast", bootstrap=times))


def standard_suite(case) -> dict[str, Callable]:
    """The array scores of the standard suite, and `irs`, of codes of the kind `partial`."""
    # The grid's codes in a table, as `zoo.evaluation.represent` keeps them once encoded.
    grid = np.stack(np.unravel_index(np.arange(np.prod(SIZES)), SIZES), axis=1)
    table = codes_of(grid, "partial").astype(np.float32)
    strides = np.cumprod((1, *SIZES[:0:-1]))[::-1]

    def represent(rows: np.ndarray) -> np.ndarray:
        return table[rows @ strides]

    return {
        "mig": lambda: evaluation.mig(*case[:2]),
        "modularity": lambda: evaluation.modularity(*case[:2]),
        "sap": lambda: evaluation.sap(*case),
        "explicitness": lambda: evaluation.explicitness(*case),
        "dci": lambda: evaluation.dci(*case),
        "factor_vae": lambda: evaluation.factor_vae_score(represent, SIZES, 0),
        "beta_vae": lambda: evaluation.beta_vae_score(represent, SIZES, 0),
        "irs": lambda: evaluation.irs(*case[:2]),
        "ds": lambda: evaluation.disentanglement_score(*case[:2], [True] + 4 * [False]),
        "factor_vae, a vote at a time": lambda: plain_factor_vae(represent, TRAIN + TEST),
    }


def targets(case, million: list) -> None:
    """Prints what the targets are about as a Markdown table, plain formulas beside.

    Args:
        case: codes and factors, of training and test.
        million: what `large` gave, before anything else took memory.
    """
    suite = standard_suite(case)
    one_by_one = suite.pop("factor_vae, a vote at a time")
    plain = {name: (lambda p=p, n=n: p(*case[: len(n)])) for name, (p, n) in PLAIN.items()}
    plain |= {"sap": lambda: plain_sap(*case), "factor_vae": one_by_one}
    suite["mcc"] = lambda: evaluation.mcc(*case[:2])
    suite["gaussian_total_correlation"] = lambda: evaluation.gaussian_total_correlation(case[0])
    cells, total = [], np.zeros(2)
    for name, score in suite.items():
        _, *spent = measured(score)
        total += spent
        theirs = [f"{x:.2f} s" for x in measured(plain[name])[1:]] if name in plain else ["", ""]
        cells.append((name, *(f"{x:.2f} s" for x in spent), *theirs, ""))
    rows = f"together, {len(case[0]):,} and {len(case[2]):,} rows"
    together = rows, *(f"{x:.2f} s" for x in total), "", "", "20 s"
    _, *spent = intervals_of_the_fast_suite(case, 200)
    of_intervals = "intervals of the fast suite, 200 times", *(f"{x:.2f} s" for x in spent)
    cells += [together, (*of_intervals, "", "", "10 s")]
    for name, _, *spent, peak in million:
        what = f"{name}, 1,000,000 rows, peak so far {peak:.2f} GiB"
        cells.append((what, *(f"{x:.2f} s" for x in spent), "", "", "10 s, 2 GB"))
    header = "", "clock", "processor", "plain: clock", "plain: processor", "target"
    for row in (header, ("---",) * len(header), *cells):
        print(f"| {' | '.join(row)} |")


def measured(function):
    """As `timed`, and the seconds of the processor."""
    used = time.process_time()
    result, seconds = timed(function)
    return result, seconds, time.process_time() - used


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
    parser.add_argument("--targets", action="store_true", help="only a table beside the targets")
    parser.add_argument("--skip_sklearn", action="store_true", help="leave the slow reference out")
    parser.add_argument("--dci", nargs="+", choices=KINDS, help="only DCI, on these codes")
    parser.add_argument("--seed", type=int, default=0, help="of factors and codes (0)")
    parser.add_argument("--rows", type=int, default=TRAIN + TEST, help="two thirds are fitted on")
    parser.add_argument("--encoding", metavar="MODEL", help="only encoding, of a pretrained model")
    parser.add_argument("--bootstrap", type=int, help="only intervals, with so many resamplings")
    parser.add_argument("--large", action="store_true", help="only a million rows")
    options = parser.parse_args()
    million = list(large()) if options.large or options.targets else []
    if options.large:
        for name, value, seconds, processor, peak in million:
            print(
                f"{name:27s} {value:8.4f} {seconds:7.2f} s ({processor:.2f} s)   peak so far "
                f"{peak:.2f} GiB"
            )
        return
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
    if options.targets:
        targets(cases["partial"], million)
        return
    if options.bootstrap:
        table, *spent = intervals_of_the_fast_suite(cases["partial"], options.bootstrap)
        for name, row in table.items():
            low, high = row["interval"]
            print(f"{name:27s} {row['score']:.4f} {low:.4f} to {high:.4f} {row['seconds']:6.2f} s")
        print(f"together {spent[0]:.2f} s ({spent[1]:.2f} s of the processor)")
        return
    if options.dci:
        for kind in options.dci:
            compare_dci(cases[kind], kind)
        return

    case, total = cases["partial"], np.zeros(2)
    suite = standard_suite(case)
    one_by_one = suite.pop("factor_vae, a vote at a time")
    print("representation `partial`")
    for name, score in suite.items():
        result, *spent = measured(score)
        total += spent
        print(f"{name:14s} {result['score']:8.4f} {spent[0]:7.2f} s ({spent[1]:.2f} s)", flush=True)
    print(f"{'together':14s} {'':8s} {total[0]:7.2f} s ({total[1]:.2f} s of the processor)")
    compare_plain({"codes": case[0], "factors": case[1]})
    plain, seconds, processor = measured(lambda: plain_sap(*case))
    print(f"sap with a machine a pair {plain:.4f} {seconds:.2f} s ({processor:.2f} s)")
    _, plain = timed(one_by_one)
    _, ours = timed(suite["factor_vae"])
    print(f"factor_vae: one vote at a time {plain:.2f} s, ours {ours:.2f} s: {plain / ours:.1f}x")
    if not options.skip_sklearn:
        for kind, each in cases.items():
            compare_dci(each, kind)


if __name__ == "__main__":
    main()
