"""The embeddings of a request: where its prompts name them, and their files in the catalogue."""
