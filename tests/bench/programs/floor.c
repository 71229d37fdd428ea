/* The floor: a minimal launcher that takes the same steps as `rawdaemon COMMAND`. It has no options, does
   not search PATH, prints no messages, and exits with 0 or 127.

   Each child shares the memory of its parent, and suspends the parent until it executes the command or
   exits. The error number therefore needs no pipe. */

#include <asm/signal.h>
#include <linux/fcntl.h>

#include "bare.h"

#define STACK_SIZE 4096
#define SIGNALS 64
#define SIGNAL_SET_SIZE 8

static char intermediate_stack[STACK_SIZE] __attribute__((aligned(16)));
static char daemon_stack[STACK_SIZE] __attribute__((aligned(16)));

static char **command;
static char **environment;
static volatile long error;

/* clone(CLONE_VM | CLONE_VFORK | SIGCHLD, end_of_stack). The child calls `run`, which does not return. The
   parent gets the child's pid, or a negative error number, once the child has executed a program or exited. */
long vfork_and_run(void (*run)(void), char *end_of_stack);

#if defined(__x86_64__)
__asm__("vfork_and_run:\n"
        "    mov %rdi, %r9\n"
        "    mov $0x4111, %edi\n"
        "    xor %edx, %edx\n"
        "    xor %r10d, %r10d\n"
        "    xor %r8d, %r8d\n"
        "    mov $56, %eax\n"
        "    syscall\n"
        "    test %rax, %rax\n"
        "    jnz 1f\n"
        "    xor %ebp, %ebp\n"
        "    call *%r9\n"
        "    ud2\n"
        "1:  ret\n");
#else
__asm__("vfork_and_run:\n"
        "    mov x9, x0\n"
        "    mov x0, #0x4111\n"
        "    mov x2, #0\n"
        "    mov x3, #0\n"
        "    mov x4, #0\n"
        "    mov x8, #220\n"
        "    svc 0\n"
        "    cbnz x0, 1f\n"
        "    mov x29, #0\n"
        "    blr x9\n"
        "    brk #1\n"
        "1:  ret\n");
#endif

/* Exits with 127 if a system call failed. */
static long check(long result)
{
    if (result < 0) {
        error = result;
        leave(127);
    }
    return result;
}

static void run_daemon(void)
{
    /* A zeroed struct sigaction means SIG_DFL. The call fails for SIGKILL and SIGSTOP. */
    static const long default_action[4];
    static const long no_signals;
    for (long signal = 1; signal <= SIGNALS; signal++)
        call(__NR_rt_sigaction, signal, (long)default_action, 0, SIGNAL_SET_SIZE);
    check(call(__NR_rt_sigprocmask, SIG_SETMASK, (long)&no_signals, 0, SIGNAL_SET_SIZE));
    check(call(__NR_close_range, 3, ~0U, 0, 0));

    long null = check(call(__NR_openat, AT_FDCWD, (long)"/dev/null", O_RDWR, 0));
    for (long stream = 0; stream <= 2; stream++)
        if (stream != null)
            check(call(__NR_dup3, null, stream, 0, 0));
    if (null > 2)
        call(__NR_close, null, 0, 0, 0);

    call(__NR_umask, 022, 0, 0, 0);
    check(call(__NR_chdir, (long)"/", 0, 0, 0));
    check(call(__NR_execve, (long)command[0], (long)command, (long)environment, 0));
}

static void create_daemon(void)
{
    check(vfork_and_run(run_daemon, daemon_stack + STACK_SIZE));
}

static void run_intermediate(void)
{
    check(call(__NR_setsid, 0, 0, 0, 0));
    create_daemon();
    leave(0);
}

void begin(long *stack)
{
    long argc = stack[0];
    command = (char **)stack + 2;
    environment = (char **)stack + 1 + argc + 1;
    if (argc < 2)
        leave(127);

    /* setsid fails if the caller leads a process group: then the intermediate calls it. */
    if (call(__NR_setsid, 0, 0, 0, 0) >= 0)
        create_daemon();
    else
        check(vfork_and_run(run_intermediate, intermediate_stack + STACK_SIZE));
    leave(error ? 127 : 0);
}
