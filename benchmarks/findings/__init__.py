"""What observations measure that takes longer than a cell may; each module writes a file of its name into results."""
