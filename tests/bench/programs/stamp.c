/* The daemon: looks at the clock before anything else, and writes the time to the file or FIFO that its
   argument names, as seconds and nanoseconds. */

#include <linux/fcntl.h>
#include <linux/time.h>

#include "bare.h"

void begin(long *stack)
{
    long time[2];
    call(__NR_clock_gettime, CLOCK_MONOTONIC, (long)time, 0, 0);

    /* The number of arguments is followed by the program's name and its first argument. */
    const char *path = (const char *)stack[2];
    long file = call(__NR_openat, AT_FDCWD, (long)path, O_WRONLY, 0);
    long written = call(__NR_write, file, (long)time, sizeof time, 0);
    leave(written != sizeof time);
}
