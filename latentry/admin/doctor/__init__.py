"""`latentry doctor` for this machine: what `latentry serve` and its processes would meet."""
