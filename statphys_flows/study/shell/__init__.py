"""Studies from a file and from the arguments of the shell."""
