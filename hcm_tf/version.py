"""The version, for package, exports and model cards alike."""

__version__ = "0.4.0"
