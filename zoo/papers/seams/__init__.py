"""Allen, "Unpicking Data at the Seams"."""
