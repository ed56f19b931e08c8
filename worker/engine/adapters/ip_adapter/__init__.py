"""IP-Adapter: pictures as prompts. Ye et al. 2023, arXiv:2308.06721."""
