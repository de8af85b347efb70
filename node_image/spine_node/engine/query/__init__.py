"""Coordinator of lists: asks the query indexes of several stores and merges their pages.

Knows nothing of pulls or periodic tasks.
"""
