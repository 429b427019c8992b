"""The outside world behind protocols: embedders and fine-tuners."""
