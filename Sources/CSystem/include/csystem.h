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
  /// Descriptors from 3 upwards, which become 0, 1 and 2; `errors` of -1 makes `output` both.
  int input;
  int output;
  int errors;
  /// The file mode creation mask.
  unsigned mask;
};

/// Starts a program in a process group of its own: every signal does what it does by default and none is blocked, and of
/// the descriptors it has the three named ones alone. It has a session keyring of its own, or where none can be had there is
/// none of this process's either. Returns its pid, or -1 with errno: EDQUOT if the user has no room for another keyring.
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

// Programs that this process stays beside, in its own process group: what a terminal sends reaches both.

/// A signal that arrived, as it is written to the descriptor of `csystem_report_signals_to`.
struct csystem_signal {
  int number;
  /// `si_code`: above 0 where the kernel sent it, a terminal's keys among that.
  int code;
  /// Who sent it, if a process did.
  int sender;
};

/// Has `signal` written to that descriptor from now on, as a `csystem_signal`. Returns 1; 0 if it is ignored, and stays so; or
/// -1 with errno.
int csystem_watch_signal(int signal);

/// What a program beside this process is started with.
struct csystem_companion {
  const char *path;
  /// Both end with a null pointer.
  char *const *arguments;
  char *const *environment;
  /// Becomes 1, and 2; -1 leaves this process's own.
  int output;
  int errors;
  /// The file mode creation mask.
  unsigned mask;
  /// Whether SIGPIPE does again what it does by default.
  int restores_pipe;
  /// The same of SIGXFSZ.
  int restores_size_limit;
};

/// Starts a program in this process group, with its descriptors and signal mask; what is ignored stays ignored. It is killed if
/// the calling thread ends. Returns its pid, or -1 with errno. Memory is borrowed as in `csystem_start`.
int csystem_accompany(const struct csystem_companion *program);

/// Starts a process in this process group that takes no signal and does nothing: what is pending there was sent to the group. It
/// has no descriptors, and is killed if the calling thread ends. Returns its pid, or -1 with errno.
int csystem_keep_signals(void);

/// What became of the program since it was last asked: 1 and `status` as of waitpid(2), which may say that it was stopped or
/// went on; 0 if nothing; -1 with errno.
int csystem_news_of(int pid, int *status);

/// Ends this process as `signal`, one that ends, does by default.
void csystem_die_by(int signal);

/// Stops this process as `signal`, one that stops, does by default; returns when it was continued.
void csystem_stop_by(int signal);
