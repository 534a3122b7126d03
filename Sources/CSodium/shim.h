#pragma once
#include <sodium.h>

#include <linux/mman.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* One page of memory at two addresses, each between guard pages: written at one, read at the other. So the protection
   of a mapping never changes while it is in use. Such a change interrupts every other processor, and secrets come and
   go by the hundred. Neither mapping is in core dumps or in a forked child. */
struct relatch_mirrored_page {
  unsigned char *readable;
  unsigned char *writable;
  /* Whether the kernel keeps the page out of swap. */
  bool is_locked;
};

/* The size in bytes of a page: of `relatch_mirrored_page` and of each of its guard pages. */
static inline size_t relatch_page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

/* Frees a page that `relatch_mirror` made; its content is lost. */
static inline void relatch_unmirror(const void *readable) {
  size_t size = relatch_page_size();
  munmap((unsigned char *)readable - size, 5 * size);
}

/* Makes a page of zeros; false if there is no memory for it. It takes five pages in a row: a guard page, the page for
   reading, a guard page, the page for writing, a guard page. */
static inline bool relatch_mirror(struct relatch_mirrored_page *page) {
  size_t size = relatch_page_size();
  void *start = mmap(NULL, 5 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) return false;
  unsigned char *readable = (unsigned char *)start + size, *writable = readable + 2 * size;
  *page = (struct relatch_mirrored_page){.readable = readable, .writable = writable};
  bool is_made =
    mmap(writable, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == writable &&
    madvise(writable, size, MADV_DONTDUMP) == 0 && madvise(writable, size, MADV_DONTFORK) == 0 &&
    /* mremap(2): an old size of 0 makes a second mapping of shared pages, which inherits the advice given before. */
    syscall(SYS_mremap, writable, (size_t)0, size, (unsigned long)(MREMAP_MAYMOVE | MREMAP_FIXED), readable) ==
      (long)(intptr_t)readable &&
    mprotect(readable, size, PROT_READ) == 0;
  if (!is_made) {
    /* If mremap failed, it may have unmapped the page that it was to replace, and another thread may have mapped that
       address since. So it is left alone. */
    munmap(start, size), munmap(readable + size, 3 * size);
    return false;
  }
  page->is_locked = mlock(writable, size) == 0;
  return true;
}

/* Keeps all pages that hold any of these bytes out of forked children. They are libsodium's memory, with the canary
   before it. */
static inline void relatch_keep_from_forks(void *start, size_t count) {
  uintptr_t size = relatch_page_size(), first = (uintptr_t)start / size * size;
  madvise((void *)first, (uintptr_t)start + count - first, MADV_DONTFORK);
}
