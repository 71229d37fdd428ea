/* A daemon that stays. First reads the clock, then writes the time, as seconds and nanoseconds, and its pid
   to the FIFO that its argument names; if there is none, to "stamps": runsv passes no argument, and
   s6-supervise a folder. If there is a notification socket, it reports that it is ready. With a second
   argument it has a child, which stays too. */

#include <asm/signal.h>
#include <linux/fcntl.h>
#include <linux/time.h>
#include <linux/un.h>

#include "bare.h"

#define AF_UNIX 1
#define SOCK_DGRAM_CLOEXEC 02000002

static int notify(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    unsigned length = 0;
    for (; path[length] && length < sizeof address.sun_path; length++)
        address.sun_path[length] = path[length];
    if (address.sun_path[0] == '@')
        address.sun_path[0] = 0;
    long fd = call(__NR_socket, AF_UNIX, SOCK_DGRAM_CLOEXEC, 0, 0);
    length += (char *)address.sun_path - (char *)&address;
    return call(__NR_connect, fd, (long)&address, length, 0) == 0 &&
           call(__NR_write, fd, (long)"READY=1", 7, 0) == 7 && call(__NR_close, fd, 0, 0, 0) == 0;
}

/* The value of the variable, or 0. */
static const char *variable(char **environment, const char *name)
{
    for (; *environment; environment++) {
        const char *text = *environment, *expected = name;
        for (; *expected && *text == *expected; text++)
            expected++;
        if (!*expected && *text == '=')
            return text + 1;
    }
    return 0;
}

void begin(long *stack)
{
    long stamp[3];
    call(__NR_clock_gettime, CLOCK_MONOTONIC, (long)stamp, 0, 0);
    stamp[2] = call(__NR_getpid, 0, 0, 0, 0);

    /* stack[0] is argc, stack[1] is argv[0]. */
    long argc = stack[0];
    long fd = call(__NR_openat, AT_FDCWD, stack[2], O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0)
        fd = call(__NR_openat, AT_FDCWD, (long)"stamps", O_WRONLY | O_CLOEXEC, 0);
    if (call(__NR_write, fd, (long)stamp, sizeof stamp, 0) != sizeof stamp)
        leave(1);
    call(__NR_close, fd, 0, 0, 0);

    const char *socket = variable((char **)stack + 1 + argc + 1, "NOTIFY_SOCKET");
    if (argc > 2)
        socket = call(__NR_clone, SIGCHLD, 0, 0, 0) ? socket : 0;
    if (socket && !notify(socket))
        leave(2);
    for (;;)
        call(__NR_ppoll, 0, 0, 0, 0);
}
