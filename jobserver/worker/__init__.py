"""The worker process: `flask --app wsgi worker`.

process        threads, signals, shutdown
render_thread  claim, attempt, again
readiness      whether a file may be claimed now
heartbeat      renews the leases of what is claimed
presence       says that this worker lives, and what it waits for
attempt        one claim, and what each way in which it can end leads to
units          what a claim is for: a group of variations, or a stage of a file of a brief
group          the next missing variations of a claimed file: probe, render, picture
parts          stage 0 of a brief: what a file is; facts keeps it
shots          stage 1: the next shots of a file; footage calls render for them
joins          stage 2: the next outputs of a video; batch says which, outputs joins each
plans          a job with a brief at one moment: its outputs, what is missing, how much that is
planned        the timelines of a brief over its parts, computed once
workbench      what all of these share
publish        rendered files become visible together with their rows
deliveries     webhooks, in threads of their own
maintenance    the housekeeping round
engine         settings of rendering
"""
