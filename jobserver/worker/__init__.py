"""The worker process: `flask --app wsgi worker`.

process        threads, signals, shutdown
render_thread  claim, attempt, again
readiness      whether a file may be claimed now
heartbeat      renews the leases of what is claimed
presence       says that this worker lives, and what it waits for
attempt        one claim, and what each way in which it can end leads to
group          the next missing variations of a claimed file: probe, render, picture
publish        rendered files become visible together with their rows
maintenance    the housekeeping round
engine         settings of rendering
"""
