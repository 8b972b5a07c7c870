"""The ultralytics trainer as a process, watched from outside."""
