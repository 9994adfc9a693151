"""The version of this code, readable from a checkout that pip never installed."""

VERSION = "0.1.0"
