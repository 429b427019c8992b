"""Proving: the frozen test split, and models compared on it."""
