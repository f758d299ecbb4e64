"""Logging in to the page at a provider of identities (OpenID Connect), as an option."""
