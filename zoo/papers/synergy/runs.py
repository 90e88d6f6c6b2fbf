"""The training runs of the synergy tables: one gin file, and what rows change of it."""

from zoo.papers.spec import Budget, Run

GIN = "gin/papers/synergy/cg_vae.gin"
SEEDS = 5
# The sweeps over alpha are run on data of other seeds, 10000, 10001, ..., than those of the tables
# whose alpha they choose.
OTHER_DATA = "1000"

_NO_SPARSITY = "VAE.jacobian_penalty = None"
_DIAGONAL = "VAE.posterior = @DiagonalPosterior"
_ORACLE = (
    "FlowPrior.flow = @KnownSources",
    'KnownSources.dataset = "{data}"',
    _NO_SPARSITY,
)
# Row -> what it binds. `domains` is bound before, and the last binding of a name holds.
KINDS = {
    # With a full covariance and this prior every turn of the code would do as well.
    "beta_vae": ("VAE.prior = @NormalPrior", _DIAGONAL, _NO_SPARSITY),
    "ivae": ('DomainFlow.kind = "affine"', _NO_SPARSITY),
    "sparsity_only": ("FlowPrior.domains = 1",),
    "domains_only": (_NO_SPARSITY,),
    "cg_vae": (),
    "cg_vae_0.1": ("alpha/linear_ramp.end = 0.1",),
    "l2": ('JacobianSparsity.penalty = "l2"',),
    "mcp": ('JacobianSparsity.penalty = "mcp"',),
    "scad": ('JacobianSparsity.penalty = "scad"',),
    "as_written": ("JacobianSparsity.as_written = True",),
    "untrained": ("train.steps = 1", "Adam.learning_rate = 0.0", "train.compiled = 'never'"),
    "oracle": _ORACLE,
    "domains_only_diagonal": (_DIAGONAL, _NO_SPARSITY),
    "cg_vae_diagonal": (_DIAGONAL,),
    "oracle_diagonal": (_DIAGONAL, *_ORACLE),
}


def run(kind: str, graph: str, domains: int, suffix: str = "") -> Run:
    """A row of `KINDS` on a set of `zoo_synthetic`; the data have the seed of the training."""
    data = f"zoo_synthetic/{graph}_{domains}{suffix}"
    return _on(f"synergy/{graph}_{domains}{suffix}/{kind}", data, "", domains, KINDS[kind])


def at_alpha(
    alpha: float, kind: str = "cg_vae", graph: str = "shared_pair", domains: int = 5
) -> Run:
    """A row of `KINDS` at an alpha, 0 for one without sparsity, on data of other seeds."""
    weight = (f"alpha/linear_ramp.end = {alpha!r}",) if alpha else ()
    at = "alpha" if kind == "cg_vae" else f"{kind}_alpha"
    data = f"zoo_synthetic/{graph}_{domains}"
    name = f"synergy/{graph}_{domains}/{at}_{alpha:g}"
    return _on(name, data, OTHER_DATA, domains, (*KINDS[kind], *weight))


def _on(name: str, data: str, prefix: str, domains: int, bindings: tuple[str, ...]) -> Run:
    data = f"{data}/seed={prefix}{{seed}}"
    bound = (
        f'train.dataset = "{data}[train]"',
        f'train.test_dataset = "{data}[test]"',
        f"FlowPrior.domains = {domains}",
        'train.publish = "scores"',
        *(binding.replace("{data}", data) for binding in bindings),
    )
    return Run(name, GIN, bound, cpu=Budget(seeds=SEEDS), seeds=SEEDS)
