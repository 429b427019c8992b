"""Importing: rows of files enter a dataset, all of them or none."""
