"""Jobs: what was asked for, how it stands, and every move it made."""
