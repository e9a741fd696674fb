"""Training: the step, its noise, its optimizer and the averages it keeps."""
