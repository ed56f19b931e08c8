"""The GPU worker: claims jobs, steps the denoising of all images, publishes pictures."""
