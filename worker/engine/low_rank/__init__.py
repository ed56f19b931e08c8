"""LoRA's terms: of one layer, of many adapters in one product, around one call of a network."""
