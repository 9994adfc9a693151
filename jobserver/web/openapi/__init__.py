"""What OpenAPI says of each route.

table        each route's entry, by method and rule
operations   jobs, signing in, health, storage
downloads    outputs, sources, ZIPs
services     webhooks, keys, differences
uploads      uploads in several requests
model        the words that an entry is made of
document     these and the shapes of answers as one OpenAPI 3.1 document
reading      schemas in words
pages        GET /api/openapi.json and GET /api/docs

A new route is one more entry of a table here. Its answers are shapes of `web/shapes.py`, its errors
codes of `web/error_codes.py`.
"""
