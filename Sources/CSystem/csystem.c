#define _GNU_SOURCE
#include "csystem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int csystem_forbid_dumps(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

int csystem_dumpable(void) { return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0); }

// sig_atomic_t is what a handler may read while another thread writes it.
static volatile sig_atomic_t report_descriptor = -1;

void csystem_report_signals_to(int descriptor) { report_descriptor = descriptor; }

void csystem_report_signal(int signal) {
  int saved = errno;
  unsigned char number = (unsigned char)signal;
  // A full pipe already holds a signal to act on.
  ssize_t written = write(report_descriptor, &number, 1);
  (void)written;
  errno = saved;
}

static void become(const struct csystem_program *program) {
  setpgid(0, 0);
  // A program that is started gets a session keyring of its own: ours may hold an identity.
  syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
  struct sigaction usual;
  memset(&usual, 0, sizeof usual);
  usual.sa_handler = SIG_DFL;
  // Those that the C library keeps for itself are refused, and stay.
  for (int signal = 1; signal < NSIG; signal++) sigaction(signal, &usual, NULL);
  umask((mode_t)program->mask);
  if (dup2(program->input, 0) < 0 || dup2(program->output, 1) < 0 || dup2(program->output, 2) < 0) return;
  // Where the kernel is too old for this, all of ours close by themselves at exec.
  close_range(3, ~0U, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execve(program->path, program->arguments, program->environment);
}

__attribute__((noinline)) int csystem_start(const struct csystem_program *program) {
  if (program->input < 3 || program->output < 3) {
    errno = EINVAL;
    return -1;
  }
  // No handler of ours may run in the child, which has our memory.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  volatile int failure = 0;
  pid_t child = vfork();
  if (child == 0) {
    become(program);
    failure = errno;
    _exit(127);
  }
  if (child < 0) failure = errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (failure == 0) return child;
  if (child > 0) waitpid(child, NULL, 0);
  errno = failure;
  return -1;
}

int csystem_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int csystem_session_keyring(void) { return (int)syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0); }

int csystem_keyring_keep(int keyring, const char *description, const void *bytes, size_t size, unsigned seconds) {
  // Possession lets one view, read, write, search and set; being the same user, of another session, lets one do nothing.
  enum { POSSESSOR_ALONE = 0x2f000000 };
  long key = syscall(SYS_add_key, "user", description, bytes, size, keyring);
  if (key < 0) return -1;
  if (syscall(SYS_keyctl, KEYCTL_SET_TIMEOUT, key, seconds) == 0 &&
      syscall(SYS_keyctl, KEYCTL_SETPERM, key, POSSESSOR_ALONE) == 0)
    return 0;
  int failure = errno;
  syscall(SYS_keyctl, KEYCTL_INVALIDATE, key);
  errno = failure;
  return -1;
}

static long find(int keyring, const char *description) {
  return syscall(SYS_keyctl, KEYCTL_SEARCH, keyring, "user", description, 0);
}

long csystem_keyring_read(int keyring, const char *description, void *bytes, size_t size) {
  long key = find(keyring, description);
  return key < 0 ? -1 : syscall(SYS_keyctl, KEYCTL_READ, key, bytes, size);
}

int csystem_keyring_end(int keyring, const char *description) {
  long key = find(keyring, description);
  return key < 0 ? -1 : (int)syscall(SYS_keyctl, KEYCTL_INVALIDATE, key);
}
