"""Li, Fan et al. 2025: does sparsity of the mixing make up for missing domains?

The paper's own numbers were not available. The orders below were written down before any of these
runs was made; those of the paper's text are marked so in the notes.
"""

from zoo.papers.results import last
from zoo.papers.spec import Claim, Column, Equal, Headline, Row, Table, Trend
from zoo.papers.synergy import images, pictures, runs

GRAPHS = ("shared_pair", "banded", "dense_turned")
DOMAINS = (1, 2, 3, 5, 9)
# Of the sum of entries, in nats; the paper's range is said to be 0.01 to 0.5, in unknown units.
ALPHAS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 50.0)
FEW_ALPHAS = (0.001, 0.01, 0.1, 1.0)
_MAIN = (
    "untrained",
    "beta_vae",
    "ivae",
    "sparsity_only",
    "domains_only",
    "cg_vae",
    "cg_vae_0.1",
    "oracle",
)
_PENALTIES = ("domains_only", "cg_vae", "l2", "mcp", "scad", "as_written")

WITHIN = Column("MCC within domains", ("within_domain_mcc", "score"), decimals=3)
COLUMNS = (
    WITHIN,
    Column("MCC pooled", ("mcc", "score"), decimals=3),
    Column("graph F1", ("mixing_graph_f1", "score")),
    Column("SHD", ("mixing_graph_f1", "shd"), decimals=1),
    Column("RMSE", ("reconstruction_rmse", "score"), decimals=3),
    Column("KL, nats", ("kl",), "metrics.jsonl", reduce=last, decimals=2),
)
_FLOORS = (
    "Below about .85 a score shows nothing: raw observations and turned true sources score .6 to "
    ".8 (`facts` of a set, see `data/zoo_synthetic/README.md`)."
)
_DATA = "A seed draws graph, mixing, sources and initial weights; rows of one set share its data."
_OURS = "The paper's numbers and settings were not available; data, networks and settings are ours."


def _less(lower: str, higher: str, paired: bool = True) -> Claim:
    return Claim(WITHIN.name, lower, higher, paired)


def _equal(first: str, second: str) -> Equal:
    return Equal(WITHIN.name, (first, second), paired=True)


def _rising(*rows: str) -> Trend:
    return Trend(WITHIN.name, rows)


def _rows(graph: str, domains: int, kinds, suffix: str = "") -> list[Row]:
    return [
        Row(
            f"{graph}{suffix}/{domains}/{kind}",
            runs.run(kind, graph, domains, suffix),
            group=kind,
            x=float(domains),
        )
        for kind in kinds
    ]


def _domains_table() -> Table:
    rows = [r for graph in GRAPHS for count in DOMAINS for r in _rows(graph, count, _MAIN)]
    return Table(
        "synergy/domains",
        "MCC against the number of domains, with and without sparsity",
        COLUMNS,
        tuple(rows),
        (
            _less("shared_pair/5/domains_only", "shared_pair/5/cg_vae"),
            _less("shared_pair/3/domains_only", "shared_pair/3/cg_vae"),
            _less("shared_pair/1/cg_vae", "shared_pair/5/cg_vae"),
            _less("shared_pair/2/ivae", "shared_pair/2/cg_vae"),
            _less("shared_pair/3/ivae", "shared_pair/3/cg_vae"),
            _less("shared_pair/2/beta_vae", "shared_pair/2/cg_vae"),
            _less("shared_pair/3/beta_vae", "shared_pair/3/cg_vae"),
            _less("dense_turned/5/cg_vae", "dense_turned/5/domains_only"),
            _equal("shared_pair/5/cg_vae", "shared_pair/9/domains_only"),
            _equal("banded/5/sparsity_only", "banded/5/cg_vae"),
            _rising(*(f"shared_pair/{n}/domains_only" for n in DOMAINS)),
        ),
        notes=(
            _OURS,
            _DATA,
            _FLOORS,
            "Predicted: on the shared pair sparsity and changes together beat changes alone at 3 "
            "and 5 domains (the paper's claim), by less at 9; with one domain no alpha parts the "
            "pair, as a wrong graph has fewer edges; on the banded graph sparsity alone does as "
            "well as both (ours); on the dense mixing sparsity hurts (ours); both at 5 domains do "
            "as changes alone at 9 (ours).",
            "The oracle has the true densities, fixed, and no sparsity. At 9 domains it is to "
            "exceed .95, or the training is at fault; with few domains no prior identifies the "
            "sources.",
            "iVAE's encoder takes the observation alone, as all rows' do; the authors' takes the "
            "domain, too.",
            "Posteriors have a full covariance (see synergy/posterior), but for the beta-VAE's.",
            "alpha is 0.001, which did best in synergy/alpha; cg_vae_0.1 has the alpha laid down "
            "before that table, and decides no claim.",
        ),
        figure=pictures.against_domains,
        from_numbers=True,
    )


def _alpha_table() -> Table:
    rows = [Row(f"alpha_{alpha:g}", runs.at_alpha(alpha), x=alpha) for alpha in ALPHAS]
    return Table(
        "synergy/alpha",
        "CG-VAE on the shared pair, five domains: the weight of sparsity",
        COLUMNS,
        tuple(rows),
        (_less("alpha_0.001", "alpha_0.1"), _less("alpha_50", "alpha_0.1")),
        notes=(
            _OURS,
            "The data have other seeds than those of the other tables, whose alpha is that of the "
            "highest mean here. It was 0.1 before, which synergy/domains has as a row of its own.",
            "Predicted (ours): a rise, then a fall.",
        ),
    )


def _few_domains_table() -> Table:
    kinds = {"domains_only": (0.0,), "sparsity_only": FEW_ALPHAS, "cg_vae": FEW_ALPHAS}
    rows = [
        Row(
            f"{graph}/3/{kind}" + (f"/alpha_{alpha:g}" if alpha else ""),
            runs.at_alpha(alpha, kind, graph, 3),
            group=f"{graph}/{kind}",
            x=alpha,
        )
        for graph in ("shared_pair", "banded")
        for kind, alphas in kinds.items()
        for alpha in alphas
    ]
    return Table(
        "synergy/alpha_three_domains",
        "Three domains: the weight of sparsity, with changes and alone",
        COLUMNS,
        tuple(rows),
        tuple(
            _less(f"{graph}/3/{kind}", f"{graph}/3/cg_vae/alpha_0.1")
            for graph in ("banded", "shared_pair")
            for kind in ("domains_only", "sparsity_only/alpha_0.1")
        ),
        notes=(
            _OURS,
            "Added when synergy/domains was complete for the shared pair, with one run of each "
            "kind on the banded graph (0.963 changes alone, 0.975 with alpha 0.1 at three "
            "domains): its alpha of 0.001 comes from five domains, which need no sparsity, and at "
            "it sparsity alone may have had no chance. The data have other seeds than its own.",
            "Predicted (ours), before any run of this table: on the banded graph alpha 0.1 beats "
            "changes alone, and sparsity alone stays below both at every alpha; on the shared "
            "pair every alpha above 0.001 lowers the score.",
        ),
    )


def _posterior_table() -> Table:
    kinds = ("domains_only", "cg_vae", "oracle")
    rows = [
        r
        for count in (5, 9)
        for r in _rows("shared_pair", count, [k + end for k in kinds for end in ("", "_diagonal")])
    ]
    return Table(
        "synergy/posterior",
        "Shared pair: posteriors with a full and with a diagonal covariance",
        COLUMNS,
        tuple(rows),
        tuple(
            _less(f"shared_pair/9/{kind}_diagonal", f"shared_pair/9/{kind}")
            for kind in ("domains_only", "cg_vae")
        ),
        notes=(
            _OURS,
            _DATA,
            "Predicted (ours, from one data set of a seed that no table takes): a diagonal "
            "posterior pays for latents whose columns of the decoder's Jacobian are not orthogonal "
            "(chapter 3 of Zietlow 2022), as those of the sources are not; with it a prior that is "
            "learned ends at another code, though nine domains suffice.",
        ),
    )


def _penalty_table() -> Table:
    return Table(
        "synergy/penalty",
        "CG-VAE on the shared pair, five domains: what is taken of the Jacobian's entries",
        COLUMNS,
        tuple(_rows("shared_pair", 5, _PENALTIES)),
        tuple(
            _less(f"shared_pair/5/{lower}", "shared_pair/5/cg_vae")
            for lower in ("domains_only", "l2", "as_written")
        )
        + tuple(
            _equal("shared_pair/5/domains_only", f"shared_pair/5/{kind}")
            for kind in ("l2", "as_written")
        ),
        notes=(
            _OURS,
            _DATA,
            "Predicted: |t| beats t^2, which does as no penalty does (the paper's appendix "
            "compares them; its outcome was not available); the "
            "term as written does as no penalty does, for the code grows (ours).",
        ),
    )


def _misspecification_table() -> Table:
    graphs = [f"random_{percent}" for percent in (25, 50, 75, 100)]
    rows = [r for graph in graphs for r in _rows(graph, 3, ("domains_only", "cg_vae"))]
    return Table(
        "synergy/misspecification",
        "Three domains, random graphs from sparse to full",
        COLUMNS,
        tuple(rows),
        (
            _less("random_100/3/cg_vae", "random_25/3/cg_vae", paired=False),
            _rising(*(f"{graph}/3/cg_vae" for graph in reversed(graphs))),
        ),
        notes=(
            _OURS,
            _DATA,
            _FLOORS,
            "Sets of random_25 are often nearly solved by their raw observations.",
            "Predicted (ours): sparsity helps less the fuller the graph.",
        ),
    )


def _changes_table() -> Table:
    kinds = ("domains_only", "cg_vae", "oracle")
    rows = [
        r for suffix in ("", "_deviation", "_mean") for r in _rows("shared_pair", 9, kinds, suffix)
    ]
    return Table(
        "synergy/changes",
        "Shared pair, nine domains: what changes between them",
        COLUMNS,
        tuple(rows),
        (
            _less("shared_pair_mean/9/domains_only", "shared_pair/9/domains_only"),
            _less("shared_pair_mean/9/cg_vae", "shared_pair/9/cg_vae"),
        ),
        notes=(
            _OURS,
            _DATA,
            "Predicted (ours): where means alone change, sources are found up to a linear map.",
        ),
    )


def _total_table() -> Table:
    rows = [
        r for n in DOMAINS for r in _rows("shared_pair", n, ("domains_only", "cg_vae"), "_total")
    ]
    return Table(
        "synergy/total",
        "Shared pair: 40,000 training samples in all, whatever the number of domains",
        COLUMNS,
        tuple(rows),
        (_less("shared_pair_total/5/domains_only", "shared_pair_total/5/cg_vae"),),
        notes=(
            _OURS,
            _DATA,
            "Predicted: as in synergy/domains, where more domains are more data, too.",
        ),
        figure=pictures.against_domains,
        from_numbers=True,
    )


TABLES = (
    _domains_table(),
    _alpha_table(),
    _few_domains_table(),
    _posterior_table(),
    _penalty_table(),
    _misspecification_table(),
    _changes_table(),
    _total_table(),
    *images.TABLES,
)

# Named before any of these runs was made. Five seeds decide one claim by sign flips, not two.
HEADLINES = (
    Headline(
        "Over five domains of the shared pair sparsity and changes together find the sources "
        "better (MCC within domains) than either alone",
        "synergy/domains",
        tuple(
            _less(f"shared_pair/5/{kind}", "shared_pair/5/cg_vae")
            for kind in ("domains_only", "sparsity_only")
        ),
        ours=True,
    ),
)
