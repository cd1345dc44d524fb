"""What observations of the chapters measure and takes longer than seconds: one program for each, one file of results."""
