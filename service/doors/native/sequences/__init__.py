"""Jobs whose pictures belong in a sequence."""
