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

// Ours may hold an identity. Returns 0, or -1 with errno where it could not be left.
static int leave_session_keyring(void) {
  if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) >= 0) return 0;
  int failure = errno;
  // Where there are no keyrings, or a sandbox keeps this process from them and so the program, too, there is none to leave.
  if (csystem_session_keyring() < 0) return 0;
  errno = failure;
  return -1;
}

static void become(const struct csystem_program *program) {
  setpgid(0, 0);
  if (leave_session_keyring() != 0) return;
  struct sigaction usual;
  memset(&usual, 0, sizeof usual);
  usual.sa_handler = SIG_DFL;
  // Those that the C library keeps for itself are refused, and stay.
  for (int signal = 1; signal < NSIG; signal++) sigaction(signal, &usual, NULL);
  umask((mode_t)program->mask);
  int errors = program->errors < 0 ? program->output : program->errors;
  if (dup2(program->input, 0) < 0 || dup2(program->output, 1) < 0 || dup2(errors, 2) < 0) return;
  // Where the kernel is too old for this, all of ours close by themselves at exec.
  close_range(3, ~0U, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execve(program->path, program->arguments, program->environment);
}

__attribute__((noinline)) int csystem_start(const struct csystem_program *program) {
  if (program->input < 3 || program->output < 3 || (program->errors >= 0 && program->errors < 3)) {
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
  // In a keyring that ends with this process: killed before there is a time limit, it leaves nothing behind.
  long key = syscall(SYS_add_key, "user", description, bytes, size, KEY_SPEC_PROCESS_KEYRING);
  if (key < 0) return -1;
  // Linked before that becomes forbidden; what is there under this description makes room.
  if (syscall(SYS_keyctl, KEYCTL_SET_TIMEOUT, key, seconds) == 0 &&
      syscall(SYS_keyctl, KEYCTL_LINK, key, keyring) == 0 &&
      syscall(SYS_keyctl, KEYCTL_SETPERM, key, POSSESSOR_ALONE) == 0) {
    syscall(SYS_keyctl, KEYCTL_UNLINK, key, KEY_SPEC_PROCESS_KEYRING);
    return 0;
  }
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

static void report_info(int signal, siginfo_t *info, void *context) {
  int saved = errno;
  struct csystem_signal found = {.number = signal, .code = info->si_code, .sender = 0};
  if (info->si_code == SI_USER || info->si_code == SI_QUEUE || info->si_code == SI_TKILL) found.sender = info->si_pid;
  ssize_t written = write(report_descriptor, &found, sizeof found);
  (void)written;
  errno = saved;
}

int csystem_watch_signal(int signal) {
  struct sigaction action;
  if (sigaction(signal, NULL, &action) != 0) return -1;
  if (action.sa_handler == SIG_IGN) return 0;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = report_info;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  return sigaction(signal, &action, NULL) == 0 ? 1 : -1;
}

static void become_companion(const struct csystem_companion *program, const sigset_t *mask, pid_t parent) {
  struct sigaction action;
  for (int signal = 1; signal < NSIG; signal++) {
    if (sigaction(signal, NULL, &action) != 0) continue;
    // Handlers of ours go, before any could run in memory that is not the child's.
    int is_restored =
        (signal == SIGPIPE && program->restores_pipe) || (signal == SIGXFSZ && program->restores_size_limit);
    if (action.sa_handler == SIG_IGN && !is_restored) continue;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, NULL);
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  // The parent may have gone before that.
  if (getppid() != parent) _exit(127);
  umask((mode_t)program->mask);
  if (program->output >= 0 && dup2(program->output, 1) < 0) return;
  if (program->errors >= 0 && dup2(program->errors, 2) < 0) return;
  sigprocmask(SIG_SETMASK, mask, NULL);
  execve(program->path, program->arguments, program->environment);
}

__attribute__((noinline)) int csystem_accompany(const struct csystem_companion *program) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  pid_t parent = getpid();
  volatile int failure = 0;
  pid_t child = vfork();
  if (child == 0) {
    become_companion(program, &before, parent);
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

int csystem_keep_signals(void) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  pid_t parent = getpid();
  pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent) _exit(0);
    close_range(0, ~0U, 0);
    // Blocked, a signal stays pending whatever it does by default.
    for (;;) pause();
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return child;
}

int csystem_news_of(int pid, int *status) {
  pid_t found = waitpid(pid, status, WNOHANG | WUNTRACED | WCONTINUED);
  return found == pid ? 1 : found == 0 ? 0 : -1;
}

static void take_default(int signal) {
  struct sigaction usual;
  memset(&usual, 0, sizeof usual);
  usual.sa_handler = SIG_DFL;
  sigaction(signal, &usual, NULL);
  sigset_t alone;
  sigemptyset(&alone);
  sigaddset(&alone, signal);
  pthread_sigmask(SIG_UNBLOCK, &alone, NULL);
  // To this thread: it has been delivered when this returns.
  raise(signal);
}

void csystem_die_by(int signal) {
  take_default(signal);
}

void csystem_stop_by(int signal) {
  struct sigaction before;
  sigaction(signal, NULL, &before);
  take_default(signal);
  sigaction(signal, &before, NULL);
}
