"""Training: the step, its noise, and the averages it keeps."""
