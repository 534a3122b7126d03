"""What a shell on a terminal sees of one command line: it is stopped, continued, interrupted, and ends.

job_control.py SHELL-COMMAND prints each thing that happened, a word a line.
"""
import os
import pty
import re
import select
import signal
import sys
import time

command = sys.argv[1]
pid, terminal = pty.fork()
if pid == 0:
    os.environ["PS1"] = "READY> "
    os.execv("/bin/bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"])

shown = ""


def wait(pattern, what):
    """Waits for what the terminal shows, and takes it and what stands before it."""
    global shown
    end = time.monotonic() + 60
    while True:
        found = re.search(pattern, shown, re.DOTALL)
        if found:
            shown = shown[found.end() :]
            print(what, *found.groups(), flush=True)
            return
        if not select.select([terminal], [], [], max(0, end - time.monotonic()))[0]:
            sys.exit(f"waited in vain for {what}: {shown!r}")
        shown += os.read(terminal, 4096).decode(errors="replace")


def type_in(text):
    os.write(terminal, text.encode())


def wait_for_job():
    """Waits until the terminal is the command's and not the shell's."""
    end = time.monotonic() + 60
    while os.tcgetpgrp(terminal) == pid:
        if time.monotonic() > end:
            sys.exit(f"waited in vain for the command: {shown!r}")
        time.sleep(0.01)
    print("foreground", flush=True)


wait("READY> ", "prompt")
type_in(command + "\n")
wait("WORKING\r?\n", "works")
wait_for_job()
type_in("\x1a")
wait("Stopped", "stopped")
wait("READY> ", "prompt")
type_in("fg >/dev/null\n")
wait_for_job()
type_in("\x1a")
wait("Stopped", "stopped")
wait("READY> ", "prompt")
type_in("fg >/dev/null; echo code=$?\n")
wait_for_job()
os.killpg(os.tcgetpgrp(terminal), signal.SIGTERM)
wait(r"\ncode=(\d+)", "ended")
wait("READY> ", "prompt")
type_in(command + "\n")
wait("WORKING\r?\n", "works")
wait_for_job()
type_in("\x03")
wait("READY> ", "prompt")
type_in("echo code=$?\n")
wait(r"\ncode=(\d+)", "ended")
type_in("exit 0\n")
os.waitpid(pid, 0)
