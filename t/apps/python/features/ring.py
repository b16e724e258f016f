"""The other half of the circle."""

from features import circle

SEEN = circle.BEFORE
