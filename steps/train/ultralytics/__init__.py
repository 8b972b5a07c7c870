"""The ultralytics detection trainer: one image, one job, YOLO models on YOLO-format data."""
