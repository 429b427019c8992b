"""Tuning: validated files, and models that are trained from them, here or elsewhere."""
