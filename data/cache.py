"""Where prepared files are kept."""

from zoo.files import cache_directory as directory

__all__ = ["directory"]
