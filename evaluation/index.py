"""Where the public names are, so that `zoo.evaluation` can import a module on first use only.

A score is added by its function, with the decorator `zoo.evaluation.facts.score`, and by its name
here, in the order of suites and tables.
"""

_SCORES = {
    "information": ("mig", "modularity"),
    "gaps": ("jemmig", "dcimig", "mig_sup", "med"),
    "quantised": ("info_m", "info_c", "info_e"),
    "predictability": ("sap", "explicitness", "disentanglement_score"),
    "importance": ("dci",),
    "capacity": ("dci_es",),
    "few_labels": ("downstream",),
    "interventional": ("irs", "factor_vae_score", "beta_vae_score"),
    "matching": ("mcc", "lms_spearman", "lms_tree", "slot_identifiability_score"),
    "weak_matching": ("weak_mcc", "within_domain_mcc"),
    "regression": ("affine_r2", "kernel_r2", "mlp_r2", "cca"),
    "graphs": ("mixing_graph_f1",),
    "orthogonality": ("dto", "ima_contrast", "singular_values", "pca_alignment"),
    "interaction": ("j_ari", "jis", "compositional_contrast"),
    "segmentation": ("ari", "foreground_ari", "attention_ari", "mbo", "miou"),
    "hessian": ("hessian_penalty", "block_hessian", "interaction_order"),
    "nonlinearity": ("sufficient_nonlinearity",),
    "asymmetry": ("sufficient_independence", "irreducibility"),
    "unsupervised": (
        "gaussian_total_correlation",
        "gaussian_wasserstein_correlation",
        "average_mutual_information",
        "udr",
    ),
    "regime": ("polarized_regime", "polarized_share"),
    "likelihood": ("reconstruction_split", "deterministic_elbo", "curvature_diagonality"),
    "expansion": ("expansion_error",),
    "generative": ("reconstruction_rmse", "fid", "frechet_distance"),
    "kernel_distance": ("kid",),
    "transfer": ("domain_flip", "reader_fid", "reader_kid"),
}
# What is no score: what scores are computed from, suites, errors.
_OTHERS = {
    "jacobians": ("jacobian", "jacobian_function"),
    "interaction": ("slot_jacobian",),
    "likelihood": ("optimal_linear_vae",),
    "generative": ("inception_features",),
    "interventional": ("represent",),
    "suite": ("evaluate", "evaluate_arrays"),
    "own": ("score",),
    "comparison": ("compare", "median_interval"),
    "errors": ("FailingDecoderError", "InputError", "UndefinedScoreError"),
}
MODULE_OF_SCORE = {name: module for module, names in _SCORES.items() for name in names}
MODULE_OF = MODULE_OF_SCORE | {name: module for module, names in _OTHERS.items() for name in names}
