"""What the service counts and measures, for Prometheus. No label ever holds an address, an account or a person."""

from authsvc.metrics.counted import Metrics

__all__ = ["Metrics"]
