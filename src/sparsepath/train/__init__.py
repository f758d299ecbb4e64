"""Training loops: fine-tuning and distillation."""
