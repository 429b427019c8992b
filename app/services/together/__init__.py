"""Together: several people on the same rows, and how far they agree."""
