"""Li, Fan et al. 2025: sufficient changes and sparse mixing."""
