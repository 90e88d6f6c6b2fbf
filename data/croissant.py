"""Croissant metadata of the TFDS builders: a JSON-LD file that data set search engines read.

    python -m zoo.data.croissant zoo_dsprites/rendered      prints it; a build writes croissant.json

Format: MLCommons, "Croissant Format Specification" 1.0. The records are examples of TFDS, whose
features are the fields; programs that know Croissant alone read the description, not the files.
"""

import argparse
import json
import re
from collections.abc import Sequence

import numpy as np
import tensorflow_datasets as tfds

from zoo import cli
from zoo.data import catalog
from zoo.errors import UserError

FILE = "croissant.json"
_SPEC = "http://mlcommons.org/croissant/"
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": _SPEC,
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def metadata(builder: tfds.core.DatasetBuilder) -> dict:
    """The Croissant description of a builder's config, whether or not its files are there.

    Returns:
        JSON-LD: name, description, licence, citation and version; a set of files for every split;
        and for every split the records, with a field for every feature.
    """
    info, config = builder.info, builder.builder_config
    suffix = info.file_format.file_suffix
    splits = {name: split.num_examples for name, split in info.splits.items()}
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": f"{_SPEC}1.0",
        "name": re.sub(r"\W", "_", f"{builder.name}_{config.name}"),
        "description": f"{config.description}\n\n{info.description}",
        "license": info.redistribution_info.license,
        "url": info.homepage,
        "citeAs": info.citation,
        "version": str(builder.version),
        "keywords": ["disentanglement", "identifiability", builder.name],
        "distribution": [
            {
                "@type": "cr:FileSet",
                "@id": f"{name}-files",
                "name": f"{name}-files",
                "description": f"{count:,} examples of TensorFlow Datasets in {suffix} files.",
                "encodingFormat": f"application/x-{suffix.replace('_', '-')}",
                "includes": f"{builder.name}-{name}.{suffix}-*",
            }
            for name, count in splits.items()
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": name,
                "name": name,
                "description": f"The split {name}: {count:,} examples.",
                "field": [_field(name, key, info.features[key]) for key in info.features],
            }
            for name, count in splits.items()
        ],
    }


def write(builder: tfds.core.DatasetBuilder, folder: str) -> None:
    """Writes `croissant.json` into the folder of a builder's files."""
    path = tfds.core.Path(folder) / FILE
    path.write_text(json.dumps(metadata(builder), indent=1) + "\n")


def _field(split: str, name: str, feature: tfds.features.FeatureConnector) -> dict:
    shape = " x ".join(map(str, feature.shape))
    return {
        "@type": "cr:Field",
        "@id": f"{split}/{name}",
        "name": f"{split}/{name}",
        "description": f"{type(feature).__name__} {shape or 'scalar'} {feature.np_dtype.__name__}",
        "dataType": _type(feature),
        "source": {"fileSet": {"@id": f"{split}-files"}, "extract": {"column": name}},
        **({"repeated": True} if feature.shape and _type(feature) != "sc:ImageObject" else {}),
    }


def _type(feature: tfds.features.FeatureConnector) -> str:
    if isinstance(feature, tfds.features.Image):
        return "sc:ImageObject"
    return "sc:Integer" if np.issubdtype(feature.np_dtype, np.integer) else "sc:Float"


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser(
        prog="python -m zoo.data.croissant", description="Prints Croissant metadata of a data set."
    )
    parser.add_argument("name", help="a data set of ours, for example zoo_shapes3d/rendered")
    return parser.parse_args(argv)


@cli.command(_parse)
def main(options: argparse.Namespace) -> None:
    """Prints the metadata; see the module."""
    family = options.name.partition("/")[0]
    known = [name for name in (*catalog.FAMILIES, *catalog.names()) if family in catalog.FAMILIES]
    if options.name not in known:
        ours = ", ".join(catalog.FAMILIES)
        raise UserError(f"{options.name} has no builder here; name a config of {ours}")
    print(json.dumps(metadata(tfds.builder(options.name)), indent=1))


if __name__ == "__main__":
    cli.run(main)
