"""Pure rules that gateway and worker share: model limits, pricing and the prompt syntax."""
