"""Serving by gunicorn: how long one client can occupy a thread, and how many can.

gunicorn_worker   the worker class: heads of requests, small answers, closing, unread bodies
waiting           the connections that its loop waits for, each with a deadline
answer_socket     a connection that is read and written without a thread that waits
log               access and error lines that no client can forge
client_limits     WSGI middleware: request bodies and downloads
"""
