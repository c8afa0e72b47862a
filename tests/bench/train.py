#!/usr/bin/env python3
"""What training costs, on sets that train.c makes; called by train.sh.

  time     a trial with fixed parameters: fit_make(), which is what `flotilla train` trains by, against the library
           alone, whose rows are in memory before its clock starts, in turn in one process; then the whole command, with
           reading the set, calibration, the report and its intervals. Time of the processor stands beside the wall's:
           the two differ where the machine has other work.
  memory   the most that `flotilla train` held, over the rows of the set as 4 bytes a value

Ends with status 1 where a limit is not kept.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FLOTILLA = Path(os.environ["BIN_DIR"]) / "flotilla"
TRAIN = Path(os.environ["PROGRAMS"]) / "bench_train"
COLUMNS = 30
MOST_TIME, MOST_MEMORY = 1.1, 2.5
# Those of train.c.
PARAMETERS = ("eta=0.1", "max_depth=6", "min_child_weight=20", "subsample=0.8", "colsample_bytree=0.5", "lambda=2",
              "max_bin=256")


def make(folder, rows):
    subprocess.run([TRAIN, "make", folder, str(rows), str(COLUMNS)], check=True)
    return folder


def command(folder, rounds, threads):
    """`flotilla train`: seconds by the wall and of the processor, and the most memory, in bytes."""
    options = ["--data", folder, "--model", "bench", "--trials", "1", "--rounds", str(rounds), "--patience", str(rounds),
               "--threads", str(threads), "--calibration", "none", "--no-register"]
    for parameter in PARAMETERS:
        options += ["--param", parameter]
    began = time.monotonic()
    process = subprocess.Popen([FLOTILLA, "train", *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    problem = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(problem.decode())
    return time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


def measure_time(folder, options):
    make(folder, options.rows)
    out = subprocess.run([TRAIN, "compare", folder, str(options.rounds), str(options.threads)], check=True,
                         stdout=subprocess.PIPE).stdout
    found = json.loads(out)
    print(f"{found['rows']:,} rows x {found['columns']} to train on, {found['trees']} trees, {options.threads} threads; "
          f"the model equals the library's: {'in every byte' if found['equal'] else 'NO'}")
    library = min((found["quantised"], found["plain"]), key=lambda spent: spent[0])
    for name, key in (("the library, quantised matrix", "quantised"), ("the library, matrix of floats", "plain"),
                      ("fit_make()", "fit")):
        wall, processor = found[key]
        print(f"  {name:30} {wall:8.2f} s {processor:8.2f} s of the processor")
    wall, processor, _ = command(folder, options.rounds, options.threads)
    print(f"  {'flotilla train, the whole':30} {wall:8.2f} s {processor:8.2f} s of the processor")
    ratio = found["fit"][0] / library[0]
    print(f"training over the faster of the library's: {ratio:.3f} (at most {MOST_TIME}), "
          f"of the processor {found['fit'][1] / library[1]:.3f}; the whole command: {wall / library[0]:.3f}, "
          f"of the processor {processor / library[1]:.3f}")
    return found["equal"] and ratio <= MOST_TIME


def measure_memory(folder, options):
    make(folder, options.large)
    wall, _, held = command(folder, 10, options.threads)
    ratio = held / (options.large * COLUMNS * 4)
    print(f"{options.large:,} rows x {COLUMNS}: {options.large * COLUMNS * 4 / 1e9:.2f} GB as floats; flotilla train "
          f"(10 trees, {wall:.0f} s) held {held / 1e9:.2f} GB at most: {ratio:.2f} (at most {MOST_MEMORY})")
    return ratio <= MOST_MEMORY


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--large", type=int, default=10_000_000)
    parser.add_argument("--only", choices=("time", "memory"))
    options = parser.parse_args()
    kept = True
    with tempfile.TemporaryDirectory(prefix="flotilla-train-") as folder:
        if options.only != "memory":
            kept &= measure_time(Path(folder) / "time", options)
        if options.only != "time":
            kept &= measure_memory(Path(folder) / "memory", options)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
