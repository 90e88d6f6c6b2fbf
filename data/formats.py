"""TFDS files of one data set in two formats: for `tf.data`, and for random access.

TFDS reads a folder in the format that it was prepared in. `tfds.data_source` then refuses one that
`tfds.load` has made, and the other way round. Here the same examples are written beside the files
that there are, and TFDS's `dataset_info.json` names both formats.
"""

import os
from collections.abc import Iterator

import tensorflow_datasets as tfds
from tensorflow_datasets.core import constants, file_adapters
from tensorflow_datasets.core.utils import py_utils, tqdm_utils

from zoo.errors import SettingError

FileFormat = file_adapters.FileFormat
_BLOCK = 1024


def provide(builder: tfds.core.DatasetBuilder, wanted: str) -> None:
    """Lets a prepared builder read in a format that can do something.

    Within `tfds.testing.mock_data`, which needs no files, it does nothing.

    Args:
        builder: has been prepared.
        wanted: `tf_data` or `random_access`.

    Raises:
        SettingError: nothing has been prepared, or the folder cannot be written to.
    """
    if mocked():
        return
    if not builder.is_prepared():
        raise SettingError(
            f"{builder.info.full_name} is not in {builder.data_dir}: call "
            "builder.download_and_prepare(), or leave download=False out"
        )
    default, able = {
        "tf_data": (FileFormat.TFRECORD, _reads_in_sequence),
        "random_access": (FileFormat.ARRAY_RECORD, _reads_at_random),
    }[wanted]
    info = builder.info
    if able(info.file_format):
        return
    others = [found for found in _alternatives(info) if able(found)]
    if not others:
        try:
            _add(builder, default)
        except OSError as error:
            raise SettingError(
                f"{builder.data_dir} holds {info.file_format.value} files, and {default.value} "
                f"files cannot be written beside them ({error.strerror or error}): give another "
                f"data_dir and builder_kwargs=dict(file_format={default.value!r})"
            ) from error
    chosen = others[0] if others else default
    _note(info, info.file_format)
    info.set_file_format(chosen, override=True, override_if_initialized=True)


def mocked() -> bool:
    """Whether TFDS's `mock_data` has replaced the methods of its builders."""
    base = tfds.core.DatasetBuilder
    return base.download_and_prepare.__module__ != base.__module__


def _reads_in_sequence(found: FileFormat) -> bool:
    return file_adapters.ADAPTER_FOR_FORMAT[found].SUPPORTS_TF_DATA


def _reads_at_random(found: FileFormat) -> bool:
    return file_adapters.ADAPTER_FOR_FORMAT[found].SUPPORTS_RANDOM_ACCESS


def _add(builder: tfds.core.DatasetBuilder, wanted: FileFormat) -> None:
    """Writes all examples once more; files that are there already stay."""
    info = builder.info
    total = sum(split.num_examples for split in info.splits.values())
    with tqdm_utils.tqdm(
        total=total, unit=" examples", desc=f"writing {info.full_name} as {wanted.value}"
    ) as bar:
        for split in info.splits.values():
            template = split.filename_template
            copies = template.replace(filetype_suffix=wanted.file_suffix)
            for index, length in enumerate(split.shard_lengths):
                place = {"shard_index": index, "num_shards": split.num_shards}
                path = copies.sharded_filepath(**place)
                if not path.exists():
                    examples = _examples(info.file_format, template.sharded_filepath(**place))
                    with py_utils.incomplete_file(path) as temporary:
                        tfds.core.ExampleWriter(wanted).write(
                            os.fspath(temporary), enumerate(examples)
                        )
                bar.update(length)
    _note(info, wanted)
    path = tfds.core.Path(builder.data_dir) / constants.DATASET_INFO_FILENAME
    with py_utils.incomplete_file(path) as temporary:
        temporary.write_text(info.as_json)


def _alternatives(info: tfds.core.DatasetInfo) -> list[FileFormat]:
    # TFDS 4.9.10 reads the field of the file and forgets the attribute.
    return [FileFormat.from_value(value) for value in info.as_proto.alternative_file_formats]


def _note(info: tfds.core.DatasetInfo, found: FileFormat) -> None:
    if found not in _alternatives(info):
        info.as_proto.alternative_file_formats.append(found.value)


def _examples(found: FileFormat, path: tfds.core.Path) -> Iterator[bytes]:
    """The serialised examples of a file."""
    if _reads_in_sequence(found):
        for example in file_adapters.ADAPTER_FOR_FORMAT[found].make_tf_data(path):
            yield example.numpy()
        return
    from array_record.python import array_record_data_source

    source = array_record_data_source.ArrayRecordDataSource([os.fspath(path)])
    for start in range(0, len(source), _BLOCK):
        yield from source.__getitems__(range(start, min(start + _BLOCK, len(source))))
