/* support_internal.h -- between the files of tests/support. */
#pragma once

#include <fcntl.h>
#include <stddef.h>
#include <sys/types.h>

enum {
    SUPPORT_INHERIT = -1,  /* standard output and error are the caller's */
    SUPPORT_DETACHED = -2, /* they are closed, and the child outlives the caller */
};

__attribute__((noreturn, format(printf, 1, 2))) void support_fail(const char *fmt, ...);
__attribute__((format(printf, 3, 4))) void support_format(char *ret_text, size_t size, const char *fmt, ...);

/* Starts argv with env added. in: its standard input, or -1 for none; out: a file for output and error, or one of the
 * above. Unless detached, the child is killed when the calling thread ends. */
pid_t support_spawn(const char *const *argv, const char *const *env, int in, int out);
