"""Sources whose distribution changes with the domain, for multi-domain non-linear ICA."""

import dataclasses

import numpy as np

from zoo.errors import SettingError


@dataclasses.dataclass(frozen=True, eq=False)
class DomainSources:
    """Independent Gaussian sources: z_i ~ N(means[u, i], deviations[u, i]^2) in domain u.

    Attributes:
        means: `[domains, n]`.
        deviations: `[domains, n]`, positive.
    """

    means: np.ndarray
    deviations: np.ndarray

    def sample(self, rng: np.random.Generator, domain: np.ndarray) -> np.ndarray:
        """`[N]` domain numbers to `[N, n]` float64 sources."""
        noise = rng.standard_normal((len(domain), self.means.shape[1]))
        return self.means[domain] + self.deviations[domain] * noise

    def log_density(self, latents: np.ndarray, domain: np.ndarray) -> np.ndarray:
        """The density log p(z | u): `[N, n]` sources and `[N]` domain numbers to `[N]` float64."""
        scale = self.deviations[domain]
        unit = (latents - self.means[domain]) / scale
        return -(unit**2 / 2 + np.log(scale) + np.log(2 * np.pi) / 2).sum(-1)

    def sufficient_changes(self) -> int:
        """The number of linearly independent changes of the density between domains.

        The rank of the differences to domain 0 of the natural parameters
        (mean / variance, -1 / (2 variance)) of all sources. Identifiability by sufficient changes
        alone (iVAE) needs 2n, hence 2n + 1 domains; m changing sources give at most 2m.
        """
        precision = 1 / self.deviations**2
        natural = np.concatenate([self.means * precision, -precision / 2], axis=1)
        changes = natural[1:] - natural[0]
        if not changes.size:
            return 0
        # A change of a source's scale must not hide the changes of the others.
        size = np.abs(changes).max(0)
        return int(np.linalg.matrix_rank(changes / np.where(size > 0, size, 1)))


def domain_sources(
    sources: int, domains: int, seed: int, changing: int | None = None
) -> DomainSources:
    """Random sources of which the last `changing` differ between domains.

    Their means are U[-4, 4] and their variances U[0.01, 1]; the others are N(0, 1). These
    ranges are those of a public multi-domain configuration, as the synergy paper's are not known.
    Domain u is the same whatever the number of domains.

    Args:
        sources: n.
        domains: 1 to 2n + 1.
        seed: of means and variances.
        changing: number of sources that change; all if None.

    Raises:
        SettingError: a number is out of range.
    """
    changing = sources if changing is None else changing
    if not 1 <= domains <= 2 * sources + 1:
        raise SettingError(f"domains={domains}: want 1 to {2 * sources + 1} for {sources} sources")
    if not 0 <= changing <= sources:
        raise SettingError(f"changing={changing}: want 0 to {sources}, the number of sources")
    rng = np.random.Generator(np.random.PCG64(seed))
    # A row of the table at a time, so that more domains leave the first ones as they are.
    table = rng.random((domains, 2, sources))
    changes = np.arange(sources) >= sources - changing
    return DomainSources(
        means=np.where(changes, -4 + 8 * table[:, 0], 0.0),
        deviations=np.sqrt(np.where(changes, 0.01 + 0.99 * table[:, 1], 1.0)),
    )


CHANGES = ("both", "deviation", "mean")


def changing_sources(
    sources: int, domains: int, rng: np.random.Generator, changes: str = "both"
) -> DomainSources:
    """Random sources all of which change: means U[-2, 2], deviations U[0.2, 1.5].

    Args:
        sources: n.
        domains: how many.
        rng: draws means and deviations, the same number whatever `changes` says.
        changes: `both`; `deviation`, all means being 0; or `mean`, all deviations being 1: then
            densities of two domains have the same second derivatives, and the condition under
            which changes identify single sources does not hold.
    """
    if changes not in CHANGES:
        raise SettingError(f"changes={changes!r}: want {', '.join(CHANGES)}")
    table = rng.random((domains, 2, sources))
    means, deviations = -2 + 4 * table[:, 0], 0.2 + 1.3 * table[:, 1]
    return DomainSources(
        means=np.zeros_like(means) if changes == "deviation" else means,
        deviations=np.ones_like(deviations) if changes == "mean" else deviations,
    )
