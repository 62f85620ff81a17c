"""The console: web pages and a small JSON API for the people of a district and their platform team.

It has no rights of its own. Every read goes to the API server with the token of the person who asks, so what a person
may see and do here is what the API server lets that person see and do, no more and no less.

This room imports `api` and `store`, never `oneroster`, `worker`, `controller` or `cli`.
"""
