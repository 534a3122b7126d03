#define _GNU_SOURCE
#include "csystem.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
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
