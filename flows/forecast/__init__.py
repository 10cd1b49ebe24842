"""What a plan will cost and when it will be done, from what such work took before."""

from flows.forecast.estimate import forecast
from flows.forecast.forecast import Basis, Forecast

__all__ = ["Basis", "Forecast", "forecast"]
