"""Authenticated Received Chain: verifies and seals (RFC 8617)."""

from msgauth.arc.seal import SEALED_HEADERS, ArcSealer, SealSpec, results_payload
from msgauth.arc.verify import ArcHop, ArcResult, ArcVerifier

__all__ = [
    "SEALED_HEADERS",
    "ArcHop",
    "ArcResult",
    "ArcSealer",
    "ArcVerifier",
    "SealSpec",
    "results_payload",
]
