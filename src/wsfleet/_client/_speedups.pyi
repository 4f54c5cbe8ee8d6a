from .messages import json_or_text as json_or_text
from .straight import StraightDelivery as StraightDelivery
from .waiter import AsyncioWaiter as AsyncioWaiter
