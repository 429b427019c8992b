"""Work in the background lets pages go first."""

import os
import subprocess
import sys

import pytest

MOST = 19


@pytest.mark.skipif(not hasattr(os, "nice"), reason="this system knows no such priority")
def test_a_process_lets_others_go_first() -> None:
    here = os.getpriority(os.PRIO_PROCESS, 0)
    code = (
        "import os, threading; from app.priority import give_way; give_way(3);"
        "later = threading.Thread(target=lambda: print(os.getpriority(os.PRIO_PROCESS, 0)));"
        "later.start(); later.join()"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True, timeout=60)
    assert int(said) == min(here + 3, MOST), "its threads as well"
    assert os.getpriority(os.PRIO_PROCESS, 0) == here
