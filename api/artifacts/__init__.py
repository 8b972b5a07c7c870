"""What training leaves behind: checkpoints and logs, in storage."""
