"""OpenAI's door, through OpenAI's own client and through what it sends."""
