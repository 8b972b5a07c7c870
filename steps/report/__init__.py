"""The report step: makes sure that the platform hears how a training ended."""
