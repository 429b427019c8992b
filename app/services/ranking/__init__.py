"""Ranking: the queue, its order, its filters, its search and its counters."""
