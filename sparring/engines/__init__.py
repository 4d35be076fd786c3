"""Where work is done: in this process, or on the machines of a Ray cluster. A stage asks `current` and knows neither.

What a unit of work is, what its key holds and who commits it is the same on every engine: the process that holds the run (the
driver) hands out pieces, takes back what comes, in the order in which it comes, and is the only one that writes.
"""

from .base import Engine as Engine
from .base import Local as Local
from .base import beside as beside
from .base import current as current
from .base import in_order as in_order
from .base import using as using
