"""The studio: a page on which a picture is taken apart and changed, live."""
