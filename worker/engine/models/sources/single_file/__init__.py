"""A checkpoint in one file, in the layouts that Stable Diffusions were published in."""
