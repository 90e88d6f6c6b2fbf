"""The tables and figures of Zietlow 2022, in its order by chapter."""

from zoo.papers.zietlow import tables_chapter_3, tables_chapter_4, tables_of_figures

TABLES = (*tables_chapter_3.TABLES, *tables_chapter_4.TABLES, *tables_of_figures.TABLES)
