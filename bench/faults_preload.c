/* Lets the wall clock of a process jump, and its disk be full, while it runs.

   The first 8 bytes of the file that SETRIGHT_FAULTS names are the seconds by which the clock is off, the
   next 8 are not 0 where the disk is full. Clocks that measure durations are left alone, as a real jump
   leaves them; what is written to a terminal, a socket or a log is left alone too. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *faults;

__attribute__((constructor)) static void open_faults(void) {
    const char *name = getenv("SETRIGHT_FAULTS");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *found = mmap(NULL, 16, PROT_READ, MAP_SHARED, file, 0);
    if (found != MAP_FAILED) faults = found;
    close(file);
}

static int64_t seconds_off(void) { return faults ? faults[0] : 0; }

int clock_gettime(clockid_t clock, struct timespec *moment) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, moment);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        moment->tv_sec += seconds_off();
    return result;
}

int gettimeofday(struct timeval *restrict moment, void *restrict zone) {
    static int (*real)(struct timeval *restrict, void *restrict);
    if (!real) real = dlsym(RTLD_NEXT, "gettimeofday");
    int result = real(moment, zone);
    if (result == 0) moment->tv_sec += seconds_off();
    return result;
}

time_t time(time_t *kept) {
    struct timespec moment;
    clock_gettime(CLOCK_REALTIME, &moment);
    if (kept) *kept = moment.tv_sec;
    return moment.tv_sec;
}

static int has_no_room(int file) {
    struct stat found;
    int is_log = file == STDOUT_FILENO || file == STDERR_FILENO;
    return faults && faults[1] && !is_log && fstat(file, &found) == 0 && S_ISREG(found.st_mode);
}

ssize_t write(int file, const void *content, size_t count) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "write");
    if (has_no_room(file)) {
        errno = ENOSPC;
        return -1;
    }
    return real(file, content, count);
}
