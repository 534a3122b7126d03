#pragma once

#include <stddef.h>

// Only what Linux offers and Swift's Glibc does not expose, or what Swift must not do in a signal handler.

/// Keeps this user's other processes from attaching to this one or reading its memory, and the kernel from dumping it.
/// Returns 0, or -1 with errno.
int csystem_forbid_dumps(void);

/// Whether this process may be dumped or attached to: the result of `prctl(PR_GET_DUMPABLE)`, 0 or more, or -1 with
/// errno.
int csystem_dumpable(void);

/// Sets the descriptor that `csystem_report_signal` writes to; -1 for none.
void csystem_report_signals_to(int descriptor);

/// A signal handler that writes the signal's number, as one byte, to that descriptor. Leaves errno unchanged.
void csystem_report_signal(int signal);

/// What a program is started with.
struct csystem_program {
  /// Absolute path.
  const char *path;
  /// Both end with a null pointer.
  char *const *arguments;
  char *const *environment;
  /// Descriptors from 3 upwards, which become 0, 1 and 2. If `errors` is -1, `output` becomes both 1 and 2.
  int input;
  int output;
  int errors;
  /// The file mode creation mask.
  unsigned mask;
};

/// Starts a program in its own process group. Every signal has its default action and none is blocked, and the program
/// has only the three named descriptors. It has its own session keyring; if it cannot have one, this process has none
/// that it could use either. Returns its pid, or -1 with errno: EDQUOT if the user has no room for another keyring.
///
/// posix_spawn cannot set the mask, and changing this process's mask would change it for every thread. As with
/// posix_spawn, the child borrows this process's memory until it runs the program, so no copy of a secret is made.
int csystem_start(const struct csystem_program *program);

/// Makes a pipe that no program started from here inherits: `ends[0]` is for reading, `ends[1]` for writing. Returns 0,
/// or -1 with errno.
int csystem_pipe(int ends[2]);

// keyrings(7): bytes that the kernel keeps for the processes of a login session, in memory that is never swapped.

/// The keyring of this login session, or of this user if the system gives sessions none; -1 with errno if there is
/// neither. Never makes one: it would end with this process.
int csystem_session_keyring(void);

/// Keeps `size` bytes under the name `description` for `seconds`, replacing what was there under that name. Only
/// processes that have the keyring can read them. Returns 0, or -1 with errno, and then these bytes are not kept.
int csystem_keyring_keep(int keyring, const char *description, const void *bytes, size_t size, unsigned seconds);

/// Copies what is kept under the name `description`, if it has at most `size` bytes. Returns how many bytes it has, or
/// -1 with errno: ENOKEY if there is none, EKEYEXPIRED if its time is over.
long csystem_keyring_read(int keyring, const char *description, void *bytes, size_t size);

/// Removes what is kept under the name `description`, at once and for everybody. Returns 0, or -1 with errno.
int csystem_keyring_end(int keyring, const char *description);

// Programs that this process accompanies in its own process group: a signal from the terminal reaches both.

/// A signal that arrived, as written to the descriptor set by `csystem_report_signals_to`.
struct csystem_signal {
  int number;
  /// `si_code`: above 0 if the kernel sent it, which includes a terminal's keys.
  int code;
  /// The pid of the process that sent it; 0 if none did.
  int sender;
};

/// From now on, writes each arriving `signal` to that descriptor as a `csystem_signal`. Returns 1; 0 if the signal is
/// ignored, and then it stays ignored; or -1 with errno.
int csystem_watch_signal(int signal);

/// What a program beside this process is started with.
struct csystem_companion {
  const char *path;
  /// Both end with a null pointer.
  char *const *arguments;
  char *const *environment;
  /// The descriptors that become 1 and 2; -1 leaves this process's own.
  int output;
  int errors;
  /// The file mode creation mask.
  unsigned mask;
  /// Whether SIGPIPE gets its default action back.
  int restores_pipe;
  /// Whether SIGXFSZ does.
  int restores_size_limit;
};

/// Starts a program in this process group, with this process's descriptors and signal mask. Ignored signals stay
/// ignored. The program is killed if the calling thread ends. Returns its pid, or -1 with errno. Memory is borrowed as
/// in `csystem_start`.
int csystem_accompany(const struct csystem_companion *program);

/// Starts a process in this process group that blocks every signal and does nothing: a signal that is pending there was
/// sent to the group. It has no descriptors, and is killed if the calling thread ends. Returns its pid, or -1 with
/// errno.
int csystem_keep_signals(void);

/// What has happened to the program since the last call: 1 with `status` as from waitpid(2), which may say that it was
/// stopped or continued; 0 if nothing has; -1 with errno.
int csystem_news_of(int pid, int *status);

/// Ends this process by the default action of `signal`, which must be one that ends a process.
void csystem_die_by(int signal);

/// Stops this process by the default action of `signal`, which must be one that stops a process. Returns when the
/// process is continued.
void csystem_stop_by(int signal);
