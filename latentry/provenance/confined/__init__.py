"""Manifests that came from outside, parsed in a process that can open no file and no socket."""
