"""Benchmarks: each prints a Markdown table and writes its figures as JSON."""
