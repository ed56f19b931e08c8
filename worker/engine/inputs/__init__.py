"""Pictures that a request brings, made ready: at the size that is drawn, with masks. No torch."""
