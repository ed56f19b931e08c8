"""HTTP to contracts and back, one file per front door. No policy."""
