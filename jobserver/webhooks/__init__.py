"""Webhooks as HTTP: where one may go, what signs it, and how it is posted. Nothing of ours below.

address    which URLs and addresses are allowed
signature  the secret and the headers of Standard Webhooks
post       one POST to an address that was checked

Which deliveries there are is in `jobs/webhooks`; who makes them in `worker/deliveries`.
"""
