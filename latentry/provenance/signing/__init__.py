"""C2PA: the chain that signs, what is signed, and the signature itself."""
