"""One module per artefact made from a run directory."""
