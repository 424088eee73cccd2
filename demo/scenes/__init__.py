"""The scenes in the order they are played."""

from demo.scenes.failing import MILTER_KILLED, POLICY_KILLED
from demo.scenes.gate import GREYLISTED, LISTED
from demo.scenes.signing import SIGNED
from demo.scenes.verifying import CHANGED, FORGED, GOOD

SCENES = (SIGNED, GOOD, CHANGED, FORGED, GREYLISTED, LISTED, POLICY_KILLED, MILTER_KILLED)
