# SPDX-License-Identifier: Apache-2.0
"""In a pod: take memory, give it up, and say how much there is, as lines on stdin ask."""
import mmap
import sys

SIZE = int(sys.argv[1]) << 20


def info(name):
    with open("/proc/meminfo", encoding="ascii") as lines:
        for line in lines:
            if line.startswith(name + ":"):
                return int(line.split()[1])
    return 0


taken = None
print("ready", flush=True)
for word in sys.stdin:
    word = word.strip()
    if word == "take":
        taken = mmap.mmap(-1, SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE)
        for at in range(0, SIZE, 4096):
            taken[at] = 1
    elif word == "free":
        taken.close()
    elif word == "end":
        break
    print(word, info("MemTotal"), info("MemAvailable"), flush=True)
