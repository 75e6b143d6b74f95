"""What writes each format; the list of them is `export.EXPORTERS`."""
