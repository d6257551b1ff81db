#include "signing_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum role { SIGNING, NEXT, PREVIOUS, ROLES };

static const char *const suffixes[ROLES] = { [SIGNING] = "", [NEXT] = ".next", [PREVIOUS] = ".previous" };

/* Of a file: whether it is the one that was read. */
struct mark {
    bool exists;
    ino_t inode;
    int64_t since_s; /* its time of modification */
};

struct signing_keys {
    char *paths[ROLES];
    struct signing_key_times times;
    struct mark read[ROLES]; /* touched by tick() alone */
    pthread_rwlock_t lock;
    struct jwt_signer *signers[ROLES]; /* under lock, as is the next; NULL: there is none */
    char *jwks;
};

static bool io_error(struct error *e, const char *what, const char *path)
{
    return error_set(e, ERROR_FATAL, "cannot %s the signing key %s: %s", what, path, strerror(errno));
}

/* ---- Files ---- */

static struct mark look(const char *path)
{
    struct stat file;
    if (stat(path, &file) != 0)
        return (struct mark){ 0 };
    return (struct mark){ .exists = true, .inode = file.st_ino, .since_s = file.st_mtim.tv_sec };
}

static bool touch(const char *path, int64_t now_s)
{
    const struct timespec times[2] = { { .tv_sec = now_s }, { .tv_sec = now_s } };
    return utimensat(AT_FDCWD, path, times, 0) == 0;
}

static bool make(const char *path, struct error *e)
{
    CLEANUP(jwt_signer_free) struct jwt_signer *made = NULL;
    return jwt_signer_open(path, true, &made, e);
}

bool signing_keys_rotate(const char *path, struct error *e)
{
    CLEANUP(xfree) char *next = xasprintf("%s%s", path, suffixes[NEXT]);
    if (look(next).exists)
        return error_set(e, ERROR_CONFLICT, "the next key is there already and soon signs: %s", next);
    return make(next, e);
}

/* The next key begins to sign. Another process may be doing the same: whoever comes second finds it done. */
static bool promote(struct signing_keys *keys, int64_t now_s, struct error *e)
{
    const char *signing = keys->paths[SIGNING], *next = keys->paths[NEXT], *previous = keys->paths[PREVIOUS];
    if (link(signing, previous) != 0 && errno != EEXIST)
        return io_error(e, "keep", signing);
    if (!touch(previous, now_s))
        return io_error(e, "keep", previous);
    if (rename(next, signing) != 0 && errno != ENOENT)
        return io_error(e, "change to", next);
    return touch(signing, now_s) || io_error(e, "change to", signing);
}

/* One step, if one is due. */
static bool move_on(struct signing_keys *keys, int64_t now_s, struct error *e)
{
    const struct mark signing = look(keys->paths[SIGNING]), next = look(keys->paths[NEXT]);
    struct mark previous = look(keys->paths[PREVIOUS]);
    const bool same = previous.exists && previous.inode == signing.inode; /* killed in the middle of promote() */
    if (previous.exists && !same && now_s - previous.since_s > keys->times.lifetime_s) {
        if (unlink(keys->paths[PREVIOUS]) != 0 && errno != ENOENT)
            return io_error(e, "remove", keys->paths[PREVIOUS]);
        previous.exists = false;
    }
    const bool known = keys->read[NEXT].exists && keys->read[NEXT].inode == next.inode; /* and published by us */
    if (next.exists && known && now_s - next.since_s >= keys->times.publish_s && (!previous.exists || same))
        return promote(keys, now_s, e);
    if (!next.exists && keys->times.max_age_s > 0 && now_s - signing.since_s >= keys->times.max_age_s)
        return make(keys->paths[NEXT], e) &&
               (touch(keys->paths[NEXT], now_s) || io_error(e, "date", keys->paths[NEXT]));
    return true;
}

/* ---- What is held of them ---- */

/* Those that are there, each once. */
static char *jwks_of(struct jwt_signer *const signers[ROLES])
{
    const struct jwt_signer *published[ROLES];
    size_t count = 0;
    for (size_t role = 0; role < ROLES; role++) {
        bool again = !signers[role];
        for (size_t i = 0; i < count && !again; i++)
            again = strcmp(jwt_signer_kid(published[i]), jwt_signer_kid(signers[role])) == 0;
        if (!again)
            published[count++] = signers[role];
    }
    return jwt_signers_jwks(published, count);
}

static bool read_files(struct signing_keys *keys, struct error *e)
{
    struct jwt_signer *signers[ROLES] = { NULL };
    struct mark marks[ROLES];
    bool read = true;
    for (size_t role = 0; role < ROLES && read; role++) {
        marks[role] = look(keys->paths[role]);
        if (marks[role].exists || role == SIGNING)
            read = jwt_signer_open(keys->paths[role], false, &signers[role], e);
    }
    if (read) {
        CLEANUP(xfree) char *jwks = jwks_of(signers);
        pthread_rwlock_wrlock(&keys->lock);
        for (size_t role = 0; role < ROLES; role++) {
            struct jwt_signer *before = keys->signers[role];
            keys->signers[role] = signers[role];
            signers[role] = before;
        }
        char *before = keys->jwks;
        keys->jwks = jwks;
        jwks = before;
        pthread_rwlock_unlock(&keys->lock);
        memcpy(keys->read, marks, sizeof marks);
    }
    for (size_t role = 0; role < ROLES; role++)
        jwt_signer_free(signers[role]);
    return read;
}

bool signing_keys_tick(struct signing_keys *keys, int64_t now_s, bool *ret_changed, struct error *e)
{
    *ret_changed = false;
    if (!move_on(keys, now_s, e))
        return false;
    for (size_t role = 0; role < ROLES; role++) {
        const struct mark now = look(keys->paths[role]);
        *ret_changed |= now.exists != keys->read[role].exists || now.inode != keys->read[role].inode;
    }
    return !*ret_changed || read_files(keys, e);
}

bool signing_keys_open(
    const char *path, const struct signing_key_times *times, struct signing_keys **ret, struct error *e)
{
    CLEANUP(signing_keys_free) struct signing_keys *keys = xcalloc(1, sizeof *keys);
    pthread_rwlock_init(&keys->lock, NULL);
    keys->times = *times;
    for (size_t role = 0; role < ROLES; role++)
        keys->paths[role] = xasprintf("%s%s", path, suffixes[role]);
    if (!make(keys->paths[SIGNING], e) || !read_files(keys, e))
        return false;
    *ret = TAKE(keys);
    return true;
}

void signing_keys_free(struct signing_keys *keys)
{
    if (!keys)
        return;
    for (size_t role = 0; role < ROLES; role++) {
        jwt_signer_free(keys->signers[role]);
        xfree(keys->paths[role]);
    }
    xfree(keys->jwks);
    pthread_rwlock_destroy(&keys->lock);
    xfree(keys);
}

bool signing_keys_sign(struct signing_keys *keys, const char *issuer, const char *audience, const char *subject,
    const char *scope, int64_t now_s, int64_t lifetime_s, char **ret_token, struct error *e)
{
    pthread_rwlock_rdlock(&keys->lock);
    const bool done =
        jwt_sign(keys->signers[SIGNING], issuer, audience, subject, scope, now_s, lifetime_s, ret_token, e);
    pthread_rwlock_unlock(&keys->lock);
    return done;
}

char *signing_keys_jwks(struct signing_keys *keys)
{
    pthread_rwlock_rdlock(&keys->lock);
    char *jwks = xstrdup(keys->jwks);
    pthread_rwlock_unlock(&keys->lock);
    return jwks;
}
