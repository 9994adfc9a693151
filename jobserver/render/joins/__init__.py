"""Outputs of several parts: their shots one behind the other, with one sound for the whole.

Nothing of the picture is encoded again.
"""
