"""Between latents and pixels."""
