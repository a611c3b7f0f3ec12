#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ask.py ANSWER,... COMMAND...: run a command on a terminal and answer its (yes/no)? in turn.

What the terminal showed is printed; the exit status is the command's.
"""
import os
import pty
import sys

answers, command = sys.argv[1].split(","), sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    os.execv(command[0], command)
text, asked = b"", 0
while True:
    try:
        piece = os.read(fd, 4096)
    except OSError:
        break
    text += piece
    if answers and text.count(b"(yes/no)?") > asked:
        asked = text.count(b"(yes/no)?")
        os.write(fd, answers.pop(0).encode() + b"\n")
sys.stdout.write(text.decode().replace("\r", ""))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
