"""Arithmetic: arrays in, arrays out. No files, clocks or global random state."""
