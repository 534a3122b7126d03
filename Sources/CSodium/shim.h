#pragma once
#include <sodium.h>

#include <linux/mman.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* One page of memory at two addresses, each between guard pages: written at one, read at the other. What a mapping allows
   then never changes while it is used. A change interrupts every other processor, and secrets come and go by the hundred.
   Neither is in core dumps or in what a fork gets. */
struct relatch_mirrored_page {
  unsigned char *readable;
  unsigned char *writable;
  /* Whether the kernel keeps it out of swap. */
  bool is_locked;
};

/* The page size, in which `relatch_mirrored_page` and its guard pages are counted. */
static inline size_t relatch_page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

/* Gives back a page that `relatch_mirror` made; its content is lost. */
static inline void relatch_unmirror(const void *readable) {
  size_t size = relatch_page_size();
  munmap((unsigned char *)readable - size, 5 * size);
}

/* Makes a page of zeros; false if there is no memory for it. Five pages in a row: a guard page, where it is read, another, where it is
   written, another. */
static inline bool relatch_mirror(struct relatch_mirrored_page *page) {
  size_t size = relatch_page_size();
  void *start = mmap(NULL, 5 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) return false;
  unsigned char *readable = (unsigned char *)start + size, *writable = readable + 2 * size;
  *page = (struct relatch_mirrored_page){.readable = readable, .writable = writable};
  bool is_made =
    mmap(writable, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == writable &&
    madvise(writable, size, MADV_DONTDUMP) == 0 && madvise(writable, size, MADV_DONTFORK) == 0 &&
    /* mremap(2): an old size of 0 makes a second mapping of shared pages. It takes over what the first was advised. */
    syscall(SYS_mremap, writable, (size_t)0, size, (unsigned long)(MREMAP_MAYMOVE | MREMAP_FIXED), readable) ==
      (long)(intptr_t)readable &&
    mprotect(readable, size, PROT_READ) == 0;
  if (!is_made) {
    /* Where mremap failed, what it was to cover may be gone, and another thread's by now: it is left. */
    munmap(start, size), munmap(readable + size, 3 * size);
    return false;
  }
  page->is_locked = mlock(writable, size) == 0;
  return true;
}

/* Keeps the pages that hold a byte of these out of what a fork gets: memory of libsodium's, with the canary before it. */
static inline void relatch_keep_from_forks(void *start, size_t count) {
  uintptr_t size = relatch_page_size(), first = (uintptr_t)start / size * size;
  madvise((void *)first, (uintptr_t)start + count - first, MADV_DONTFORK);
}
