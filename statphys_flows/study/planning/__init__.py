"""What a study takes, before it is run."""
