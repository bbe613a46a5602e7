"""The commands: flags in, lines and files out."""
