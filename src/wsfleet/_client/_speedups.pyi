from .straight import StraightDelivery as StraightDelivery
from .waiter import AsyncioWaiter as AsyncioWaiter
