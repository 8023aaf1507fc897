"""Drift: is recent input still what the model was trained on?"""
