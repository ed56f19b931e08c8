"""All ways to make an image in one crowd, beside plain requests and stock pipelines."""
