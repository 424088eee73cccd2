"""Scenes of the demonstration, in order."""

from tools.demo.scenes.failing import MILTER_KILLED, POLICY_KILLED
from tools.demo.scenes.gate import GREYLISTED, LISTED
from tools.demo.scenes.signing import SIGNED
from tools.demo.scenes.verifying import CHANGED, FORGED, GOOD

SCENES = (SIGNED, GOOD, CHANGED, FORGED, GREYLISTED, LISTED, POLICY_KILLED, MILTER_KILLED)
