"""DNS for the daemons: the only package that imports dnspython.

`solve()`, `asolve()` and `begin()` drive a `msgauth.ask.Lookup`; `Resolver` and `AsyncResolver`
answer its questions through one cache, a `Zone` answers them from a file.
"""

from gatepost.dns.cache import Cache
from gatepost.dns.drive import Pending, asolve, begin, solve
from gatepost.dns.resolver import AsyncResolver, Resolver, new_cache
from gatepost.dns.zone import Zone, ZoneError

__all__ = [
    "AsyncResolver",
    "Cache",
    "Pending",
    "Resolver",
    "Zone",
    "ZoneError",
    "asolve",
    "begin",
    "new_cache",
    "solve",
]
