"""The upload step: makes sure that checkpoints, logs and plots of a training lie in storage."""
