"""One file per framework: its models, hyperparameters and own settings."""
