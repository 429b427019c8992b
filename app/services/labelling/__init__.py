"""Labelling: the classes of a dataset and their rows."""
