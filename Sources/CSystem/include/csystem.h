#pragma once

// What Linux offers and Swift's Glibc does not show, or what Swift must not do inside a signal handler. Nothing else.

/// Keeps other processes of this user from attaching to this one or reading its memory, and the kernel from dumping it.
/// Returns 0, or -1 with errno.
int csystem_forbid_dumps(void);

/// Whether this process may be dumped or attached to: 0 or more as `prctl(PR_GET_DUMPABLE)` says, or -1 with errno.
int csystem_dumpable(void);

/// Names the descriptor that `csystem_report_signal` writes to; -1 for none.
void csystem_report_signals_to(int descriptor);

/// A signal handler that writes the signal's number, as one byte, to the descriptor named above. Leaves errno alone.
void csystem_report_signal(int signal);
