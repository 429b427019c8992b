"""Reviewing: one verdict on one row, or on many, and what that tells about the dataset."""
