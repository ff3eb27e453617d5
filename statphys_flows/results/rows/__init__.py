"""The rows of the table of results, a file for groups that belong together."""
