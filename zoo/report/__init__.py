"""The report of a run: `page` writes one HTML page, `contents` decides what it says."""
