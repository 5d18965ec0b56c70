/* A machine with a bad disk or a clock that jumps, for one process: loaded before libc (LD_PRELOAD), told what to do
 * through a page of memory that the test shares with it (`faults.py`). Neither libfiu nor libfaketime can tell one file
 * from another. Linux. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The order and the sizes that `faults.py` writes. */
struct faults {
  int64_t clock_ms; /* how far the wall clock is off */
  int64_t slow_ms;  /* how long a sync of what is `slow` takes longer */
  int64_t failed;   /* syncs that were made to fail, counted here */
  int64_t slowed;   /* syncs that were made slow */
  char fails[256];  /* syncs of paths that end with this fail; empty: none */
  char slow[256];   /* the same for what is slow, by what the path contains */
};

static struct faults *faults;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("FAULTS");
  int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  void *page = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (page == MAP_FAILED) abort();
  close(file);
  faults = page;
}

static int disturbed(int file) {
  char link[64] = "/proc/self/fd/", path[4096], *end = link + strlen(link);
  char digits[16], *digit = digits;
  int number = file;
  do *digit++ = (char)('0' + number % 10); while (number /= 10);
  while (digit != digits) *end++ = *--digit;
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  if (faults->slow[0] && strstr(path, faults->slow)) {
    struct timespec wait = {faults->slow_ms / 1000, faults->slow_ms % 1000 * 1000000};
    __atomic_add_fetch(&faults->slowed, 1, __ATOMIC_RELAXED);
    nanosleep(&wait, NULL);
  }
  size_t wanted = strlen(faults->fails);
  if (!wanted || (size_t)length < wanted || strcmp(path + length - wanted, faults->fails)) return 0;
  __atomic_add_fetch(&faults->failed, 1, __ATOMIC_RELAXED);
  errno = EIO;
  return 1;
}

int fsync(int file) { return disturbed(file) ? -1 : (int)syscall(SYS_fsync, file); }

int fdatasync(int file) { return disturbed(file) ? -1 : (int)syscall(SYS_fdatasync, file); }

int clock_gettime(clockid_t which, struct timespec *now) {
  int failed = (int)syscall(SYS_clock_gettime, which, now);
  if (failed || which != CLOCK_REALTIME || !faults) return failed;
  int64_t nanos = now->tv_nsec + faults->clock_ms % 1000 * 1000000;
  now->tv_sec += faults->clock_ms / 1000 + (nanos < 0 ? -1 : nanos / 1000000000);
  now->tv_nsec = nanos < 0 ? nanos + 1000000000 : nanos % 1000000000;
  return 0;
}
