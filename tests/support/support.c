/* support.c -- databases, topics, guards. Processes and HTTP are in process.c. */
#include "support.h"
#include "support_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Below the range that the kernel hands out to who connects, and below that of the system tests. */
enum { PORT_FIRST = 10000, PORT_COUNT = 10000, PORT_TRIES_MAX = 1000 };

void support_fail(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("test support: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

void support_format(char *ret_text, size_t size, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(ret_text, size, fmt, args);
    va_end(args);
    if (len < 0 || (size_t)len >= size)
        support_fail("text does not fit %zu bytes: %s", size, fmt);
}

static const char *required(const char *name)
{
    const char *value = getenv(name);
    if (!value || !*value)
        support_fail("%s is not set: run under tests/with-servers, or point it at a server", name);
    return value;
}

const char *support_postgres_url(void)
{
    return required("POSTGRES_URL");
}

const char *support_kafka_brokers(void)
{
    return required("KAFKA_BROKERS");
}

const char *support_source_path(const char *relative, char ret_path[SUPPORT_PATH_MAX])
{
    support_format(ret_path, SUPPORT_PATH_MAX, "%s/%s", SUPPORT_SOURCE_ROOT, relative);
    return ret_path;
}

const char *support_build_path(const char *relative, char ret_path[SUPPORT_PATH_MAX])
{
    support_format(ret_path, SUPPORT_PATH_MAX, "%s/%s", SUPPORT_BUILD_ROOT, relative);
    return ret_path;
}

uint64_t support_random(void)
{
    uint64_t value;
    if (getrandom(&value, sizeof value, 0) != sizeof value)
        support_fail("getrandom: %s", strerror(errno));
    return value;
}

/* A name that no two processes can have at a time, and that nobody has any more once this one has ended. */
static int take_name(uint16_t port)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int len = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "penstock-test-port-%u", port); /* abstract */
    if (fd < 0)
        support_fail("socket: %s", strerror(errno));
    if (bind(fd, (struct sockaddr *)&name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool is_free(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return is;
}

uint16_t support_free_port(void)
{
    for (int tries = 0; tries < PORT_TRIES_MAX; tries++) {
        uint16_t port = (uint16_t)(PORT_FIRST + support_random() % PORT_COUNT);
        int name = take_name(port);
        if (name >= 0 && is_free(port))
            return port;
        if (name >= 0)
            close(name);
    }
    support_fail("no free port");
}

/* Runs a command and waits for it; its output goes where ours goes. */
static void run(const char *const *argv, const char *const *env)
{
    pid_t pid = support_spawn(argv, env, -1, -1);
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            support_fail("waitpid: %s", strerror(errno));
    }
    if (status != 0)
        support_fail("%s failed", argv[0]);
}

/* Starts a process that does nothing until this one has ended, by whatever end, and then runs script with its
 * arguments. Its standard output and error are closed, so that whoever reads ours is not kept waiting. */
static void guard(const char *script, const char *first, const char *second, const char *third)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        support_fail("pipe: %s", strerror(errno));
    char wrapped[1024];
    support_format(wrapped, sizeof wrapped, "cat; %s", script);
    const char *const argv[] = { "/bin/sh", "-c", wrapped, "guard", first, second, third, NULL };
    support_spawn(argv, (const char *const[]){ NULL }, ends[0], SUPPORT_DETACHED);
    close(ends[0]); /* ends[1] stays open for as long as this process lives */
}

/* A key of a connection string, its value quoted. */
static void append_setting(char *dsn, size_t size, const char *key, const char *value)
{
    size_t len = strlen(dsn);
    if (len + strlen(key) + 2 * strlen(value) + 5 > size)
        support_fail("POSTGRES_URL is too long");
    len += (size_t)sprintf(dsn + len, "%s%s='", len ? " " : "", key);
    for (const char *c = value; *c; c++) {
        if (*c == '\'' || *c == '\\')
            dsn[len++] = '\\';
        dsn[len++] = *c;
    }
    dsn[len++] = '\'';
    dsn[len] = '\0';
}

/* POSTGRES_URL with another database and, unless NULL, another user and password. */
static void derive_url(const char *database, const char *user, const char *password, char ret_url[SUPPORT_URL_MAX])
{
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(support_postgres_url(), &message);
    if (!options)
        support_fail("POSTGRES_URL: %s", message ? message : "out of memory");
    ret_url[0] = '\0';
    for (const PQconninfoOption *option = options; option->keyword; option++) {
        bool is_user = strcmp(option->keyword, "user") == 0, is_password = strcmp(option->keyword, "password") == 0;
        if (!option->val || strcmp(option->keyword, "dbname") == 0 || (user && (is_user || is_password)))
            continue;
        append_setting(ret_url, SUPPORT_URL_MAX, option->keyword, option->val);
    }
    append_setting(ret_url, SUPPORT_URL_MAX, "dbname", database);
    if (user) {
        append_setting(ret_url, SUPPORT_URL_MAX, "user", user);
        append_setting(ret_url, SUPPORT_URL_MAX, "password", password);
    }
    PQconninfoFree(options);
}

void support_database_open(const char *service, struct support_database *ret_database)
{
    char relay[SUPPORT_NAME_MAX], password[SUPPORT_NAME_MAX];
    support_format(ret_database->name, sizeof ret_database->name, "test_%016llx", (unsigned long long)support_random());
    support_format(relay, sizeof relay, "%s_relay", ret_database->name);
    support_format(password, sizeof password, "%016llx", (unsigned long long)support_random());
    derive_url(ret_database->name, NULL, NULL, ret_database->admin_url);
    derive_url(ret_database->name, ret_database->name, password, ret_database->url);
    derive_url(ret_database->name, relay, password, ret_database->relay_url);

    guard("exec psql -X -q -c \"DROP DATABASE IF EXISTS $2 WITH (FORCE)\" -c \"DROP ROLE IF EXISTS $2, $3\" -d \"$1\"",
        support_postgres_url(), ret_database->name, relay);

    char script[SUPPORT_PATH_MAX], env[4][SUPPORT_NAME_MAX * 2];
    support_source_path("tools/migrate", script);
    support_format(env[0], sizeof env[0], "DATABASE=%s", ret_database->name);
    support_format(env[1], sizeof env[1], "RELAY_ROLE=%s", relay);
    support_format(env[2], sizeof env[2], "SERVICE_PASSWORD=%s", password);
    support_format(env[3], sizeof env[3], "RELAY_PASSWORD=%s", password);
    run((const char *const[]){ script, "--quiet", service, NULL },
        (const char *const[]){ env[0], env[1], env[2], env[3], NULL });
}

void support_topics_open(char ret_prefix[SUPPORT_NAME_MAX])
{
    support_format(ret_prefix, SUPPORT_NAME_MAX, "t%012llx-", (unsigned long long)(support_random() >> 16));
    char program[SUPPORT_PATH_MAX], file[SUPPORT_PATH_MAX], env[2][SUPPORT_URL_MAX];
    support_build_path("tools/penstock-topics", program);
    support_source_path("schemas/asyncapi.yaml", file);
    guard("TOPIC_PREFIX=$3 exec \"$1\" --delete \"$2\"", program, file, ret_prefix);
    support_format(env[0], sizeof env[0], "TOPIC_PREFIX=%s", ret_prefix);
    support_format(env[1], sizeof env[1], "KAFKA_BROKERS=%s", support_kafka_brokers());
    run((const char *const[]){ program, "--quiet", file, NULL }, (const char *const[]){ env[0], env[1], NULL });
}
