"""A durable queue on the local disk: what was appended is still there after the process was killed.

What all of them were given and got rid of stands in one ``ledger``.

One process, one spool: an id, a claim (``claim``: a locked file, so that others see it is alive) and a row of
segments (``segment``: SQLite files in WAL mode that are appended to, sealed, shipped and deleted as a whole).
Request threads append, one thread ships. What a dead process left is taken over by ``adopt_orphans``.

What an append that returned is safe against:

=====================================  =======================================  ==========================
                                       default                                  ``fsync=True``
=====================================  =======================================  ==========================
``kill -9``, a crash of the process    nothing is lost                          nothing is lost
disk full, or ``max_bytes`` reached    the append is refused, nothing is lost   the same
power cut, crash of the kernel         what the kernel had not written yet      nothing is lost
                                       (some 30 seconds), never what is older
a page or a record damaged on disk     what comes before it in its segment is   the same
                                       kept, the segment is set aside
loss of the disk                       all that was not shipped                 the same
=====================================  =======================================  ==========================

Nothing here knows what a payload means, nor where it is shipped to. Local disks only: file locks of network
file systems cannot be trusted. A spool does not survive ``fork``: open it in the process that uses it.
"""

from utils.spool.adoption import adopt_orphans
from utils.spool.ledger import Ledger, LogCounts
from utils.spool.queue import Spool
from utils.spool.segment import Entry

__all__ = ["Entry", "Ledger", "LogCounts", "Spool", "adopt_orphans"]
