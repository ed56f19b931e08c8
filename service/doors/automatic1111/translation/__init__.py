"""AUTOMATIC1111's requests as ours: what is obeyed, refused, or ignored and named."""
