"""Hands the pages of `site_pages` to MkDocs; named in `mkdocs.yml`."""

import site_explorers
import site_pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Makes the explorers and the pages, and sets the navigation."""
    config.extra["site"] = site_pages.site(site_explorers.explorers())
    config.nav = list(config.extra["site"].nav)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replaces the texts and files of `docs/` by those of the site."""
    site = config.extra["site"]
    texts = [file for file in files if file.src_dir == config.docs_dir and not file.is_css()]
    kept = [file for file in files if file not in texts]
    made = [File.generated(config, place, content=text) for place, text in site.pages.items()]
    others = [
        File.generated(config, place, abs_src_path=str(site_pages.ROOT / file))
        for place, file in site.files.items()
    ]
    return Files([*kept, *made, *others])
