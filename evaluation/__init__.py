"""Scores of disentanglement and identifiability research, on arrays and callables.

Every score returns a dict with the headline number under `score`. Bad input is a ValueError of one
line; where a score has no value, as for a decoder without derivatives, it is the subclass
`UndefinedScoreError`. Modules are imported on first
use, so that importing this package costs nothing and needs no TensorFlow.
"""

import importlib

if __name__ != "zoo.evaluation":
    raise ImportError("this package is zoo.evaluation: `from zoo import evaluation`")

# Public name -> module that holds it. A score is added by one name here and a function there.
_HOMES = {
    "information": ["mig", "modularity"],
    "importance": ["dci"],
    "predictability": ["disentanglement_score", "explicitness", "sap"],
    "interventional": ["beta_vae_score", "factor_vae_score", "irs", "represent"],
    "matching": ["lms_spearman", "lms_tree", "mcc", "slot_identifiability_score"],
    "jacobians": ["jacobian", "jacobian_function"],
    "orthogonality": ["dto", "ima_contrast", "pca_alignment", "singular_values"],
    "segmentation": ["ari", "attention_ari", "foreground_ari"],
    "interaction": ["compositional_contrast", "j_ari", "jis", "slot_jacobian"],
    "hessian": ["block_hessian", "hessian_penalty", "interaction_order"],
    "nonlinearity": ["sufficient_nonlinearity"],
    "regime": ["polarized_regime", "polarized_share"],
    "likelihood": [
        "curvature_diagonality",
        "deterministic_elbo",
        "optimal_linear_vae",
        "reconstruction_split",
    ],
    "unsupervised": [
        "average_mutual_information",
        "gaussian_total_correlation",
        "gaussian_wasserstein_correlation",
        "udr",
    ],
    "generative": ["fid", "frechet_distance", "inception_features", "reconstruction_rmse"],
    "suite": ["evaluate"],
    "errors": ["UndefinedScoreError"],
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str):
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    # No module has the name of a function, or importing the module would hide the function.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
