"""Serving by gunicorn: how long one client can occupy a thread, and how many can.

gunicorn_worker   the worker class: request headers, closing, unread bodies
client_limits     WSGI middleware: request bodies and downloads
"""
