"""Accounts: people, how they sign in, what they may see, and what they like."""
