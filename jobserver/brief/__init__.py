"""The brief: what shall vary, read, checked, and planned. Pure: no file, no clock, no database.

model       a brief, its sources, its plan, as values
timeline    the shots of every output, once the sources are probed
"""
