#pragma once

#include <stddef.h>

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

// keyrings(7): bytes that the kernel keeps for the processes of a login session, in memory that is never swapped.

/// The keyring of this login session, or of this user where the system gives sessions none; -1 with errno if there is no
/// such thing. Never makes one, which would end with this process.
int csystem_session_keyring(void);

/// Keeps `size` bytes as `description` for `seconds`, for whoever has the keyring and nobody else; what was there under that
/// name is replaced. Returns 0, or -1 with errno, and then nothing is kept.
int csystem_keyring_keep(int keyring, const char *description, const void *bytes, size_t size, unsigned seconds);

/// Copies what is kept as `description`, if it has at most `size` bytes. Returns how many it has, or -1 with errno: ENOKEY if
/// there is none, EKEYEXPIRED if its time is over.
long csystem_keyring_read(int keyring, const char *description, void *bytes, size_t size);

/// Ends what is kept as `description`, at once and for everybody. Returns 0, or -1 with errno.
int csystem_keyring_end(int keyring, const char *description);
