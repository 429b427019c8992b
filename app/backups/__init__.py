"""Backups: one file that holds the database and the files beside it, and bringing them back."""
