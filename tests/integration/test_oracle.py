"""The oracle's own tests, as part of the suite: what the library is held against must itself be right."""
import subprocess
import sys
import unittest
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "oracle"


class Oracle(unittest.TestCase):
    def test_the_oracle_passes_its_own_tests(self):
        run = subprocess.run([sys.executable, "-m", "unittest"], cwd=FOLDER, capture_output=True, encoding="utf-8",
                             timeout=600)
        self.assertEqual(0, run.returncode, run.stderr)
        self.assertRegex(run.stderr, r"Ran [1-9]\d* tests")


if __name__ == "__main__":
    unittest.main()
