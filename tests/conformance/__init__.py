"""One suite over both engines: the same job leaves the same record, the timing aside."""
