"""Training: the step, its noise, optimizer and averages."""
