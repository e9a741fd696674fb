"""Generator, encoder and critic."""
