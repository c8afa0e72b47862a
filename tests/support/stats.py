"""Asks common/stats, through stats_probe.c, which says what can be asked."""
import json
import math
import os
import subprocess
from pathlib import Path

import numpy

ROOT = Path(__file__).resolve().parents[2]
PROBE = Path(os.environ.get("UNIT_DIR", ROOT / "build/tests")).resolve() / "stats_probe"


def plain(value):
    """As JSON has it: lists for arrays, null for NaN."""
    if isinstance(value, numpy.ndarray):
        return [plain(x) for x in value.tolist()]
    if isinstance(value, (list, tuple)):
        return [plain(x) for x in value]
    if isinstance(value, dict):
        return {name: plain(x) for name, x in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def ask(request):
    run = subprocess.run([PROBE], input=json.dumps(plain(request)) + "\n", capture_output=True, text=True, timeout=120)
    if run.returncode:
        raise AssertionError(f"stats_probe ended with {run.returncode}: {run.stderr[-2000:]}")
    return json.loads(run.stdout)
