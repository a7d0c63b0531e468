"""The container image, built and started for real: `make image-test`."""
