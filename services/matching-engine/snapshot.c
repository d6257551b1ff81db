#include "snapshot.h"

#include "book.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SUFFIX    ".snapshot"
#define TEMPORARY ".tmp"

enum {
    PATH_LEN_MAX = 4096,
    NAME_LEN_MAX = 256,
    FILES_MAX = 64,
    REMOVED_MAX = 16, /* old files that one snapshot removes */
    BUFFER_SIZE = 256 * 1024,
    CHILD_NICENESS = 5, /* matching first */
};

/* ---- Names ---- */

struct files {
    size_t count;
    int64_t offsets[FILES_MAX]; /* newest first */
};

static void file_path(
    const struct snapshot_identity *identity, int64_t offset, const char *suffix, char path[PATH_LEN_MAX])
{
    snprintf(path, PATH_LEN_MAX, "%s/%s-%d-%020" PRId64 SUFFIX "%s", identity->directory, identity->topic,
        identity->partition, offset, suffix);
}

static void insert_newest_first(struct files *files, int64_t offset)
{
    size_t at = files->count < FILES_MAX ? files->count++ : FILES_MAX - 1;

    for (; at > 0 && files->offsets[at - 1] < offset; at--)
        files->offsets[at] = files->offsets[at - 1];
    files->offsets[at] = offset;
}

/* Tells `each` the offset and what follows ".snapshot" in the name of every file of this partition. */
static bool each_file(const struct snapshot_identity *identity,
    void (*each)(void *context, const char *name, int64_t offset, const char *suffix), void *context, struct error *e)
{
    char prefix[NAME_LEN_MAX * 2];
    size_t prefix_len = (size_t)snprintf(prefix, sizeof prefix, "%s-%d-", identity->topic, identity->partition);
    DIR *dir = opendir(identity->directory);

    if (!dir)
        return error_set(e, ERROR_TRANSIENT, "%.120s: %s", identity->directory, strerror(errno));
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char *end;

        if (strncmp(entry->d_name, prefix, prefix_len) != 0)
            continue;
        int64_t offset = strtoll(entry->d_name + prefix_len, &end, 10);
        if (end == entry->d_name + prefix_len + 20 && strncmp(end, SUFFIX, strlen(SUFFIX)) == 0)
            each(context, entry->d_name, offset, end + strlen(SUFFIX));
    }
    closedir(dir);
    return true;
}

static void note_file(void *context, const char *name, int64_t offset, const char *suffix)
{
    (void)name;
    if (suffix[0] == '\0')
        insert_newest_first(context, offset);
}

static bool list_files(const struct snapshot_identity *identity, struct files *ret_files, struct error *e)
{
    ret_files->count = 0;
    return each_file(identity, note_file, ret_files, e);
}

/* ---- Writing: all that the child needs is made before the fork ---- */

/* Outside the heap, in which the child has no part (heap.h). */
struct snapshot_child {
    pid_t pid; /* 0: it has ended */
    int64_t began_us;
    struct snapshot_result result;
    char path[PATH_LEN_MAX], temporary[PATH_LEN_MAX], directory[PATH_LEN_MAX];
    char topic[NAME_LEN_MAX], cluster_id[NAME_LEN_MAX];
    struct snapshot_identity identity; /* made of these */
    size_t removed_count;
    char removed[REMOVED_MAX][PATH_LEN_MAX];
    unsigned char buffer[BUFFER_SIZE];
};

static void remove_later(struct snapshot_child *child, const char *name)
{
    if (child->removed_count < REMOVED_MAX)
        snprintf(child->removed[child->removed_count++], PATH_LEN_MAX, "%.2000s/%s", child->directory, name);
}

/* Of an owner that was killed, or fenced since: nobody else writes here now. */
static void remove_temporary(void *context, const char *name, int64_t offset, const char *suffix)
{
    size_t len = strlen(suffix);

    (void)offset;
    if (len >= strlen(TEMPORARY) && strcmp(suffix + len - strlen(TEMPORARY), TEMPORARY) == 0)
        remove_later(context, name);
}

static bool plan(
    const struct snapshot_identity *identity, int64_t next_offset, struct snapshot_child *child, struct error *e)
{
    char suffix[32], path[PATH_LEN_MAX];
    struct files files;
    size_t kept = 1; /* the new one */

    if (strlen(identity->topic) >= NAME_LEN_MAX || strlen(identity->cluster_id) >= NAME_LEN_MAX)
        return error_set(e, ERROR_TRANSIENT, "%.120s: a name is too long", identity->topic);
    strcpy(child->topic, identity->topic);
    strcpy(child->cluster_id, identity->cluster_id);
    snprintf(child->directory, sizeof child->directory, "%s", identity->directory);
    child->identity =
        (struct snapshot_identity){ child->directory, child->topic, child->cluster_id, identity->partition };
    snprintf(suffix, sizeof suffix, ".%d" TEMPORARY, getpid());
    file_path(identity, next_offset, "", child->path);
    file_path(identity, next_offset, suffix, child->temporary);
    if (!list_files(identity, &files, e) || !each_file(identity, remove_temporary, child, e))
        return false;
    for (size_t i = 0; i < files.count; i++) {
        if (files.offsets[i] == next_offset || kept++ < SNAPSHOTS_KEPT)
            continue;
        file_path(identity, files.offsets[i], "", path);
        remove_later(child, strrchr(path, '/') + 1);
    }
    return true;
}

static bool write_all(void *context, const void *data, size_t len)
{
    int fd = *(const int *)context;

    for (size_t done = 0; done < len;) {
        ssize_t written = write(fd, (const char *)data + done, len - done);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        done += (size_t)written;
    }
    return true;
}

static bool write_file(struct snapshot_child *child, const struct engine *engine)
{
    unsigned char head[SNAPSHOT_HEAD_SIZE] = { 0 };
    int fd = open(child->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    return fd >= 0 && write_all(&fd, head, sizeof head) &&
           snapshot_format_write(&child->identity, engine, child->result.next_offset,
               (struct snapshot_sink){ write_all, &fd }, child->buffer, sizeof child->buffer, head) &&
           pwrite(fd, head, sizeof head, 0) == (ssize_t)sizeof head && fsync(fd) == 0 && close(fd) == 0;
}

static bool sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd >= 0 && fsync(fd) == 0 && close(fd) == 0;
}

/* The child's life: only system calls. Its exit status is an errno. It keeps no socket and no file of the parent's
 * open: the next process may want the port. All signals are blocked since before the fork. */
static _Noreturn void child_main(struct snapshot_child *child, const struct engine *engine, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(ESRCH);
    close_range(STDERR_FILENO + 1, ~0u, 0);
    setpriority(PRIO_PROCESS, 0, CHILD_NICENESS);
    errno = 0;
    if (!write_file(child, engine) || rename(child->temporary, child->path) != 0 || !sync_directory(child->directory))
        _exit(errno > 0 && errno < 256 ? errno : EIO);
    for (size_t i = 0; i < child->removed_count; i++)
        unlink(child->removed[i]);
    _exit(0);
}

static int64_t thread_cpu_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

bool snapshot_begin(const struct snapshot_identity *identity, const struct engine *engine, int64_t next_offset,
    struct snapshot_child **ret_child, struct error *e)
{
    int64_t began_us = monotonic_us(), began_cpu_us = thread_cpu_us();
    /* Zeros; the buffer stays untouched: its pages are the child's. */
    CLEANUP(snapshot_child_free) struct snapshot_child *child = book_reserve(1, sizeof *child, BOOK_HUGE_NONE);
    sigset_t all, before;
    pid_t parent = getpid();

    if (!child)
        return error_set(e, ERROR_TRANSIENT, "no memory for a snapshot");
    child->began_us = began_us;
    child->result.next_offset = next_offset;
    if (!plan(identity, next_offset, child, e))
        return false;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    child->pid = _Fork(); /* without what the allocator does at a fork: it would stop all threads, and touch the heap */
    if (child->pid == 0)
        child_main(child, engine, parent);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (child->pid < 0) {
        child->pid = 0;
        return error_set(e, ERROR_TRANSIENT, "fork: %s", strerror(errno));
    }
    child->result.pause_us = monotonic_us() - began_us;
    child->result.pause_cpu_us = thread_cpu_us() - began_cpu_us;
    *ret_child = TAKE(child);
    return true;
}

static bool ended_well(struct snapshot_child *child, int status, struct error *e)
{
    struct stat file;

    child->pid = 0;
    if (!WIFEXITED(status))
        return error_set(e, ERROR_TRANSIENT, "%.120s: its writer was killed", child->path);
    if (WEXITSTATUS(status) != 0)
        return error_set(e, ERROR_TRANSIENT, "%.120s: %s", child->path, strerror(WEXITSTATUS(status)));
    child->result.took_us = monotonic_us() - child->began_us;
    child->result.size = stat(child->path, &file) == 0 ? (size_t)file.st_size : 0;
    crash_point("engine.snapshot_written");
    return true;
}

enum snapshot_progress snapshot_look(struct snapshot_child *child, bool wait, struct error *e)
{
    int status;
    pid_t ended;

    assert(child->pid != 0);
    do
        ended = waitpid(child->pid, &status, wait ? 0 : WNOHANG);
    while (ended < 0 && errno == EINTR);
    if (ended == 0)
        return SNAPSHOT_RUNNING;
    if (ended < 0) {
        child->pid = 0;
        error_set(e, ERROR_TRANSIENT, "%.120s: its writer is lost: %s", child->path, strerror(errno));
        return SNAPSHOT_FAILED;
    }
    return ended_well(child, status, e) ? SNAPSHOT_WRITTEN : SNAPSHOT_FAILED;
}

void snapshot_child_free(struct snapshot_child *child)
{
    if (!child)
        return;
    if (child->pid != 0) {
        kill(child->pid, SIGKILL);
        waitpid(child->pid, NULL, 0);
    }
    book_give_back(child, 1, sizeof *child);
}

void snapshot_get_result(const struct snapshot_child *child, struct snapshot_result *ret_result)
{
    *ret_result = child->result;
}

bool snapshot_write(const struct snapshot_identity *identity, const struct engine *engine, int64_t next_offset,
    struct snapshot_result *ret_result, struct error *e)
{
    CLEANUP(snapshot_child_free) struct snapshot_child *child = NULL;

    if (!snapshot_begin(identity, engine, next_offset, &child, e) || snapshot_look(child, true, e) != SNAPSHOT_WRITTEN)
        return false;
    *ret_result = child->result;
    return true;
}

/* ---- Reading ---- */

static bool read_file(const char *path, char **ret_data, size_t *ret_size, struct error *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) != 0) {
        error_set(e, ERROR_INVALID, "%s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }

    CLEANUP(xfree) char *data = xmalloc((size_t)status.st_size + 1);
    size_t len = 0;
    ssize_t got;

    while (len < (size_t)status.st_size && (got = read(fd, data + len, (size_t)status.st_size - len)) > 0)
        len += (size_t)got;
    close(fd);
    *ret_data = TAKE(data);
    *ret_size = len;
    return true;
}

/* *ret_gone: it was removed since it was listed, by the owner's next snapshot. */
static bool load_file(const struct snapshot_identity *identity, int64_t file_offset, struct engine *engine,
    bool *ret_gone, struct error *e)
{
    char path[PATH_LEN_MAX];
    CLEANUP(xfree) char *data = NULL;
    size_t size = 0;
    int64_t offset;

    file_path(identity, file_offset, "", path);
    if (!read_file(path, &data, &size, e)) {
        *ret_gone = access(path, F_OK) != 0;
        return false;
    }
    if (!snapshot_decode(identity, (struct bytes){ data, size }, engine, &offset, e))
        return false;
    return offset == file_offset || error_set(e, ERROR_INVALID, "damaged: its name and its offset differ");
}

static void set_aside(
    const struct snapshot_identity *identity, int64_t offset, const char *why, void (*note)(const char *line))
{
    char path[PATH_LEN_MAX], aside[PATH_LEN_MAX];
    CLEANUP(xfree) char *line = NULL;

    file_path(identity, offset, "", path);
    file_path(identity, offset, ".refused", aside);
    line = xasprintf("snapshot %s is not used: %s", path, why);
    note(line);
    if (rename(path, aside) != 0)
        note(strerror(errno));
}

static bool no_memory(struct error *e)
{
    return error_set(e, ERROR_FATAL, "no memory for the configured limits");
}

static bool make_directory(const struct snapshot_identity *identity, struct error *e)
{
    return mkdir(identity->directory, 0700) == 0 || errno == EEXIST ||
           error_set(e, ERROR_TRANSIENT, "%.120s: %s", identity->directory, strerror(errno));
}

bool snapshot_load(const struct snapshot_identity *identity, int64_t committed_offset,
    const struct engine_options *options, void (*note)(const char *line), struct engine **ret_engine,
    int64_t *ret_next_offset, struct error *e)
{
    struct files files;

    if (!make_directory(identity, e) || !list_files(identity, &files, e))
        return false;
    for (size_t i = 0; i < files.count; i++) {
        if (files.offsets[i] > committed_offset)
            continue;

        CLEANUP(engine_free) struct engine *engine = engine_new(options);
        bool gone = false;

        if (!engine)
            return no_memory(e);
        if (load_file(identity, files.offsets[i], engine, &gone, e)) {
            *ret_next_offset = files.offsets[i];
            *ret_engine = TAKE(engine);
            return true;
        }
        if (e->kind != ERROR_INVALID)
            return false;
        if (!gone)
            set_aside(identity, files.offsets[i], e->message, note);
    }
    *ret_next_offset = 0;
    *ret_engine = engine_new(options);
    return *ret_engine || no_memory(e);
}

bool snapshot_refuse_newer(
    const struct snapshot_identity *identity, int64_t committed_offset, void (*note)(const char *line), struct error *e)
{
    char why[96];
    struct files files;

    if (!make_directory(identity, e) || !list_files(identity, &files, e))
        return false;
    snprintf(why, sizeof why, "it is past the committed offset %" PRId64 ": the log was made anew", committed_offset);
    for (size_t i = 0; i < files.count && files.offsets[i] > committed_offset; i++)
        set_aside(identity, files.offsets[i], why, note);
    return true;
}
