"""DNS for the daemons: the only package that imports dnspython.

`Resolver` and `AsyncResolver` answer the questions of a `msgauth.ask.Lookup` through one cache, a
`Zone` answers them from a file. `msgauth.drive` passes the questions to them.
"""

from gatepost.dns.cache import Cache
from gatepost.dns.resolver import AsyncResolver, Resolver, new_cache
from gatepost.dns.zone import Zone, ZoneError

__all__ = [
    "AsyncResolver",
    "Cache",
    "Resolver",
    "Zone",
    "ZoneError",
    "new_cache",
]
