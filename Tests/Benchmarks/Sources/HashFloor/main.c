// Hashes the leaves and nodes of a log by libsodium and does nothing else, on one thread: HashFloor LINES TIME
//
// LINES has an entry a line. How many, and the wall and processor time in nanoseconds, go to TIME; reading the file is left out.
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void node(unsigned char *output, const unsigned char *left, const unsigned char *right) {
  static const unsigned char prefix = 1;
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  crypto_hash_sha256_update(&state, &prefix, 1);
  crypto_hash_sha256_update(&state, left, 32);
  crypto_hash_sha256_update(&state, right, 32);
  crypto_hash_sha256_final(&state, output);
}

static long long now(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int count, char **arguments) {
  if (count != 3 || sodium_init() < 0) return 64;
  FILE *file = fopen(arguments[1], "r");
  if (!file || fseek(file, 0, SEEK_END) != 0) return 66;
  size_t size = (size_t)ftell(file);
  rewind(file);
  unsigned char *text = malloc(size + 1);
  if (!text || fread(text, 1, size, file) != size) return 66;
  fclose(file);

  long long start = now(CLOCK_MONOTONIC), started = now(CLOCK_PROCESS_CPUTIME_ID);
  unsigned char subtrees[64][32];
  unsigned long leaves = 0;
  for (unsigned char *line = text, *newline; (newline = memchr(line, '\n', (size_t)(text + size - line))); line = newline + 1) {
    static const unsigned char prefix = 0;
    unsigned char hash[32];
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, &prefix, 1);
    crypto_hash_sha256_update(&state, line, (unsigned long long)(newline - line));
    crypto_hash_sha256_final(&state, hash);
    int level = 0;
    for (unsigned long rest = leaves; rest & 1; rest >>= 1, level++) node(hash, subtrees[level], hash);
    memcpy(subtrees[level], hash, 32);
    leaves++;
  }
  long long end = now(CLOCK_MONOTONIC), ended = now(CLOCK_PROCESS_CPUTIME_ID);
  file = fopen(arguments[2], "w");
  if (!file) return 73;
  fprintf(file, "%lu %lld %lld\n", leaves, end - start, ended - started);
  return fclose(file) == 0 ? 0 : 74;
}
