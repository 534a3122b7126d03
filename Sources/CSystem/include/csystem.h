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

/// What a program is started with.
struct csystem_program {
  /// Absolute path.
  const char *path;
  /// Both end with a null pointer.
  char *const *arguments;
  char *const *environment;
  /// Descriptors from 3 upwards, which become 0, and 1 and 2.
  int input;
  int output;
  /// The file mode creation mask.
  unsigned mask;
};

/// Starts a program in a process group of its own: every signal does what it does by default and none is blocked, and of
/// the descriptors it has the three named ones alone. Returns its pid, or -1 with errno.
///
/// posix_spawn cannot set the mask, and changing that of this process would change it for every thread. As there, the child
/// borrows this process's memory until it runs the program, so that no copy of a secret is made.
int csystem_start(const struct csystem_program *program);

/// A pipe that no program started from here inherits: `ends[0]` to read, `ends[1]` to write. Returns 0, or -1 with errno.
int csystem_pipe(int ends[2]);
