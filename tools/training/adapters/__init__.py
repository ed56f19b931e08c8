"""What is trained beside the bundled model: LoRAs, embeddings, fine-tuned copies, a ControlNet."""
