/* A daemon that writes lines of 80 bytes to its standard output, many at once. Each begins with its number,
   of ten digits. Arguments: a FIFO for the time at which it began, as in stay.c, and the number of lines.
   With a third argument it stays afterwards. */

#include <linux/fcntl.h>
#include <linux/time.h>

#include "bare.h"

#define LINE 80
#define DIGITS 10
/* The lines of a block, which is not larger than a pipe. */
#define LINES 819

static char block[LINES * LINE];

static void write_number(char *line, long number)
{
    for (int place = DIGITS; place-- > 0; number /= 10)
        line[place] = (char)('0' + number % 10);
}

static void stamp(const char *path)
{
    long stamp[3];
    call(__NR_clock_gettime, CLOCK_MONOTONIC, (long)stamp, 0, 0);
    stamp[2] = call(__NR_getpid, 0, 0, 0, 0);
    long fd = call(__NR_openat, AT_FDCWD, (long)path, O_WRONLY | O_CLOEXEC, 0);
    if (call(__NR_write, fd, (long)stamp, sizeof stamp, 0) != sizeof stamp)
        leave(1);
    call(__NR_close, fd, 0, 0, 0);
}

void begin(long *stack)
{
    /* stack[0] is argc, stack[1] is argv[0]. */
    long count = 0;
    for (const char *digit = (const char *)stack[3]; *digit; digit++)
        count = count * 10 + *digit - '0';
    for (long offset = 0; offset < (long)sizeof block; offset++)
        block[offset] = offset % LINE == LINE - 1 ? '\n' : offset % LINE == DIGITS ? ' ' : 'x';

    stamp((const char *)stack[2]);
    for (long number = 0; number < count;) {
        long lines = count - number < LINES ? count - number : LINES;
        for (long line = 0; line < lines; line++)
            write_number(block + line * LINE, number++);
        for (long sent = 0; sent < lines * LINE;) {
            long written = call(__NR_write, 1, (long)block + sent, lines * LINE - sent, 0);
            if (written <= 0)
                leave(2);
            sent += written;
        }
    }
    if (stack[0] > 3) {
        stamp((const char *)stack[2]);
        for (;;)
            call(__NR_ppoll, 0, 0, 0, 0);
    }
    leave(0);
}
