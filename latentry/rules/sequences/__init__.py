"""Jobs whose images are frames of one sequence."""
