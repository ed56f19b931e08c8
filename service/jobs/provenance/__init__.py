"""Where pictures come from: the least that they must say, and what is found in them."""
