"""Our code beside other libraries, on one machine in one run."""
