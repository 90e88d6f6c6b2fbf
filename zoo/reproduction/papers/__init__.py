"""The tables of papers, one module a paper or chapter, each with `TABLES`."""
