"""Whole experiments: from data to a report."""
