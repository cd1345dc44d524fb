"""What observations measure and takes longer than seconds: a program for each, and one file of results."""
