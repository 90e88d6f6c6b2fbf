"""Package description of disentanglement-zoo (build back end: see pyproject.toml)."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"', (HERE / "zoo/__init__.py").read_text(), re.M)[1]
# Links in zoo/ lead to data/, evaluation/ and gin/. The folders of configs hold no __init__.py: a
# checkout's own `gin` must stay gin-config's.
CONFIGS = [p for p in [HERE / "gin", *(HERE / "gin").rglob("*")] if p.is_dir()]
GIN_PACKAGES = [".".join(["zoo", *p.relative_to(HERE).parts]) for p in CONFIGS]

setup(
    name="disentanglement-zoo",
    version=VERSION,
    description="Disentanglement and identifiability research: models, scores, datasets.",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    keywords="disentanglement identifiability variational-autoencoder representation-learning",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 14)),
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    project_urls={
        "Analysis of the inner workings of VAEs": "https://arxiv.org/abs/1812.06775",
        "Perturbed data": "https://arxiv.org/abs/2102.06822",
        "Additive decoders": "https://arxiv.org/abs/2307.02598",
        "Interaction asymmetry": "https://arxiv.org/abs/2411.07784",
        "Data at the seams": "https://arxiv.org/abs/2410.22559",
        "Sufficient changes and sparse mixing": "https://arxiv.org/abs/2503.00639",
    },
    entry_points={"console_scripts": ["zoo = zoo.__main__:main"]},
    python_requires=">=3.10,<3.14",
    packages=[*find_packages(include=["zoo", "zoo.*"]), *GIN_PACKAGES],
    package_data={
        **{name: ["*.gin"] for name in GIN_PACKAGES},
        "zoo": ["**/*.json", "**/*.html", "**/*.md", "hub/store/**/*", "explorer/*"],
        "zoo.evaluation": ["readers/*.npz"],
        "zoo.data": ["**/*.md", "**/*.bib", "**/*.txt", "**/*.tsv", "**/*.npz", "**/*.json"],
    },
    install_requires=[
        "absl-py>=2.0",
        "filelock>=3.30",
        "gin-config>=0.5",
        "h5py>=3.10",
        "importlib_resources>=6.0",
        "isal>=1.7",
        "jinja2>=3.1",
        "keras>=3.6",
        "lightgbm>=4.3",
        "matplotlib>=3.8",
        "numpy>=1.26",
        "pillow>=10.3",
        "platformdirs>=4.0",
        "psutil>=5.9",
        "requests>=2.31",
        "rich>=13.7",
        "scikit-learn>=1.4",
        "scipy>=1.12",
        "threadpoolctl>=3.1",
        "tensorboard>=2.18",
        "tensorflow>=2.18",
        "tensorflow-datasets>=4.9.9",
        "tensorflow-probability[tf]>=0.25",
        "tqdm>=4.66",
        "typeguard>=4.3",
        "urllib3>=2.3",
        "wrapt>=1.15",
    ],
    extras_require={
        "test": [
            "dill>=0.3.7",
            "huggingface_hub>=1.0",
            "hypothesis>=6.100",
            "ipykernel>=6.29",
            "nbclient>=0.10",
            "pytest>=8.0",
            "pytest-xdist>=3.5",
            "ruff>=0.12",
            "setuptools>=77",
        ],
        "browser": ["playwright>=1.49"],
        "docs": ["mkdocs-material>=9.6", "mkdocstrings-python>=1.16"],
        "hub": ["huggingface_hub>=1.0"],
        "onnx": ["onnx>=1.17", "onnxruntime>=1.20", "tf2onnx>=1.17"],
        "portable": ["jax>=0.6.2"],
        "beam": ["apache-beam>=2.60", "mlcroissant>=1.0"],
        "benchmark": ["torch>=2.4"],
        "ray": ["ray>=2.40"],
        "slurm": ["submitit>=1.5"],
    },
)
