"""Commands by what they do; each file registers its own with the program."""
