"""`python -m tensorlite`: the same as the command `tensorlite`."""

import sys

from tensorlite.cli import main

sys.exit(main())
