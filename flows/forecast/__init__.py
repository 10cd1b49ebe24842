"""What a plan will cost, and when it will be done.

`history` reads what such work took, `calibrate` tries what nobody did yet, `durations` learns from
both, `makespan` plays the farm through, `overhead` adds what the command takes. In: a plan, a
store's ledger. Out: a `Forecast` with hours, bytes, money and an end (p50, p90).
"""

from flows.forecast.estimate import forecast
from flows.forecast.forecast import Basis, Forecast

__all__ = ["Basis", "Forecast", "forecast"]
