/* leak_check.c -- part of every test program: under AddressSanitizer, what a test has not freed when it ends is a
 * failure. The test's result is with Criterion by then, so the launcher counts the sentence. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STACK_BYTES = 1 << 18, EXIT_LEAK = 23 };

int __lsan_do_recoverable_leak_check(void) __attribute__((weak)); /* there where the program is built so */
int __lsan_is_turned_off(void);

/* Criterion runs each test in a process of its own, which it tells so; the one that waits for them is not ours to tidy
 * up. */
int __lsan_is_turned_off(void)
{
    return getenv("BXFI_MAP") == NULL;
}

/* What has returned left its pointers here: they would hide a leak, or not, as chance has it. */
__attribute__((noinline)) static void wipe_stack(void)
{
    char dead[STACK_BYTES];
    memset(dead, 0, sizeof dead);
    __asm__ volatile("" : : "r"(dead) : "memory");
}

static void check(void)
{
    wipe_stack();
    if (__lsan_do_recoverable_leak_check() == 0)
        return;
    fputs("the test leaks: see above\n", stderr);
    _exit(EXIT_LEAK);
}

__attribute__((constructor)) static void check_at_exit(void)
{
    if (__lsan_do_recoverable_leak_check)
        atexit(check);
}
