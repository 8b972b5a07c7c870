"""The `tiphys` command."""
