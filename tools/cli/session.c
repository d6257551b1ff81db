/* session.c -- where the tokens are kept: PENSTOCK_SESSION, or $XDG_CONFIG_HOME/penstock/session.json. Mode 0600. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *session_path(void)
{
    const char *path = getenv("PENSTOCK_SESSION"), *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (path && *path)
        return xstrdup(path);
    if (config && *config)
        return xasprintf("%s/penstock/session.json", config);
    return xasprintf("%s/.config/penstock/session.json", home && *home ? home : ".");
}

json_t *session_load(void)
{
    const char *token = getenv("PENSTOCK_TOKEN");
    if (token && *token)
        return json_pack("{s:s}", "access_token", token);
    CLEANUP(xfree) char *path = session_path();
    json_t *session = json_load_file(path, 0, NULL);
    if (session && !json_is_string(json_object_get(session, "access_token"))) {
        json_decref(session);
        session = NULL;
    }
    return session;
}

static void make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
}

bool session_save(const json_t *session, struct error *e)
{
    CLEANUP(xfree) char *path = session_path();
    CLEANUP(xfree) char *temporary = xasprintf("%s.new", path);
    make_folders(path);
    unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && json_dumpfd(session, fd, JSON_INDENT(2)) == 0;
    if (fd >= 0)
        ok = close(fd) == 0 && ok;
    if (!ok || rename(temporary, path) != 0)
        return error_set(e, ERROR_REFUSED, "the session cannot be kept in %s: %s", path, strerror(errno));
    return true;
}

void session_forget(void)
{
    CLEANUP(xfree) char *path = session_path();
    unlink(path);
}
