"""The step loop, and the only folder with torch: models, samplers, UNet and VAE calls."""
