"""What the operator provides for prompts: styles, wildcards, rules, in files that may change."""
