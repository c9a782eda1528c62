"""``diagnose``: mistakes in nets, named and placed; one rule, one function."""

from .diagnose import diagnose
from .finding import Diagnosis, Finding

__all__ = ["Diagnosis", "Finding", "diagnose"]
