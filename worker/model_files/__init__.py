"""The files of models on this machine: which there are, and what became of them since."""
