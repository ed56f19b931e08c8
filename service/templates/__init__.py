"""What the operator provides for prompts: styles and wildcards, in files that may change."""
