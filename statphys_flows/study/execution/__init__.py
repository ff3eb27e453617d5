"""How the points of a study are run: one after the other, until they are done or told to stop."""
