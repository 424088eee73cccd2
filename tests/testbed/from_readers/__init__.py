"""Mail programs that read From, as oracles for `msgauth.dmarc.find_author`.

Each reader takes the values of From fields and returns the addresses that it would show for each,
as ``local@domain``. Addresses without a domain are left out, because no program takes them for an
author.
"""
