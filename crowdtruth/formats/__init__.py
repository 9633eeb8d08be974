"""One file per outside format; the registry is here."""
