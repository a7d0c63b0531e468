"""How often one may try: exact counters in SQL, coarse windows per network address."""

from authsvc.throttle.counters import Throttle, Wait
from authsvc.throttle.spray import SprayAlarm
from authsvc.throttle.streaks import WrongPasswords
from authsvc.throttle.window import AddressWindows

__all__ = ["AddressWindows", "SprayAlarm", "Throttle", "Wait", "WrongPasswords"]
