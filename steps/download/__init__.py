"""The download step: fetches a job's dataset, and pretrained weights where storage has them, into the workspace."""
