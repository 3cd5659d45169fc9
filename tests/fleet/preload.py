"""What the fork server imports before it forks: everything that a worker would import, and nothing opened."""

import tests.crash.preload
import tests.fleet.scene  # noqa: F401
