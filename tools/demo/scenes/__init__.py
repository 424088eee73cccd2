"""Scenes of the demonstration, in order."""

from tools.demo.scenes.accounts import ADDED, DATABASE_AWAY, DELIVERED, REFUSED, UNKNOWN
from tools.demo.scenes.failing import MILTER_KILLED, POLICY_KILLED
from tools.demo.scenes.gate import GREYLISTED, LISTED
from tools.demo.scenes.signing import SIGNED
from tools.demo.scenes.verifying import CHANGED, FORGED, GOOD

SCENES = (
    ADDED,
    SIGNED,
    REFUSED,
    GOOD,
    CHANGED,
    FORGED,
    DELIVERED,
    UNKNOWN,
    GREYLISTED,
    LISTED,
    DATABASE_AWAY,
    POLICY_KILLED,
    MILTER_KILLED,
)
