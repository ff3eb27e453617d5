"""Studies from a file and from the words of the shell."""
