"""What is made of one picture beside the step loop, in short calls: by upscalers, preprocessors."""
