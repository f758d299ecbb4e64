"""Why nobody is let in. None of these holds a secret."""


class ProviderError(Exception):
    """The provider cannot be asked, or does not answer as it should."""


class RefusedError(ProviderError):
    """The provider does not accept what was sent, such as a code that was used before."""


class TokenError(Exception):
    """What the provider says cannot be believed; tells why, and nothing of what it holds."""


class NoRoleError(Exception):
    """Someone is who they say, and no rule gives them a role."""
