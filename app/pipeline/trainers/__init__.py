"""Trainers: texts and labels in, a saved model that predicts probabilities out."""
