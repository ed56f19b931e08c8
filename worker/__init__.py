"""The GPU worker: claims jobs, steps everybody's denoising loop, publishes pictures."""
