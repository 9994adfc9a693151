"""Who may sign in, and what proves that somebody has. No HTTP: that is `web/auth.py`.

keys       the secret keys of this server, given or kept
password   is it the right one
tokens     bearer tokens, signed and dated; nothing about them is stored
links      addresses that are signed for a while, for what sends no header
api_keys   keys for programs: what each may do, revoked at once
state      what voids tokens, links and keys in every process
audit      who did what to which job
throttle   failed attempts to sign in, and how long their address waits
"""
