"""What trainers say: heartbeat, event, done."""
