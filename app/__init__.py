"""Setright: find wrong labels, set them right, prove that it helped."""

__version__ = "0.1.0"
