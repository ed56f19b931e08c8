"""Runs `python ARGUMENTS`, then prints the largest resident size that it had, in GB."""

import resource
import subprocess
import sys

if __name__ == "__main__":
    subprocess.run([sys.executable, *sys.argv[1:]], check=True)
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9)
