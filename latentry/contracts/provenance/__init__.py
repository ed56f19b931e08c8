"""Where a picture came from: how much files say of it, and what is found in one."""
