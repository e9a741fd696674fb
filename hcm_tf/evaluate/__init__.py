"""How good, how sparse and how meaningful a trained run is: the command's parts."""
