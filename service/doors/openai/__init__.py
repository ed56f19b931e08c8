"""OpenAI's Images API, `/v1/images/*`."""
