"""Login with OpenID Connect: an identity provider says who is at the browser.

`provider` reads what the provider says about itself, `id_token` checks whom it names, `exchange` is
one login from its first redirect to its last, `fetch` and `client` do the requests.
"""
