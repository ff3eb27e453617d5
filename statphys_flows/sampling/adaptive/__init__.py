"""The phase before anything counts: search, warm-up, rounds of training."""
