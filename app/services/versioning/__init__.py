"""Versioning: what happened, what it was before, and going back there."""
