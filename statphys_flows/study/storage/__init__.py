"""A study on disk: complete files, and runs that can be resumed."""
