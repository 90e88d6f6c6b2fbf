"""Reruns the tables of papers: what they hold, which runs they are made of, paper beside ours."""
