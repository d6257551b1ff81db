#include "drive.h"

#include "jwt.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Time limits are for a quiet machine; what comes too late is waited for this much longer. */
enum { PATIENCE = 6 };

static void pause_ms(unsigned ms)
{
    nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 }, NULL);
}

/* ---- The service ---- */

void sample_sql(const struct sample *sample, const char *sql)
{
    PGresult *result = PQexec(sample->admin, sql);
    const ExecStatusType status = PQresultStatus(result);
    cr_assert(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, "%s: %s", sql, PQerrorMessage(sample->admin));
    PQclear(result);
}

int64_t sample_number(const struct sample *sample, const char *sql)
{
    PGresult *result = PQexec(sample->admin, sql);
    cr_assert_eq(PQresultStatus(result), PGRES_TUPLES_OK, "%s: %s", sql, PQerrorMessage(sample->admin));
    const int64_t number = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return number;
}

static PGconn *connections[8];
static size_t connection_count;

static void close_connections(void)
{
    while (connection_count > 0)
        PQfinish(connections[--connection_count]);
}

static PGconn *connect_to(const char *url)
{
    cr_assert(connection_count < ARRAY_LEN(connections));
    if (connection_count == 0)
        atexit(close_connections);
    return connections[connection_count++] = PQconnectdb(url);
}

void sample_launch(struct sample *ret_sample, const char *const *more)
{
    enum { ENV_MAX = 16 };
    const char *env[ENV_MAX] = { NULL };
    size_t count = 0;
    support_database_open("identity", &ret_sample->database);
    ret_sample->admin = connect_to(ret_sample->database.admin_url);
    sample_sql(ret_sample, "CREATE TABLE sample_items (name text NOT NULL, xid xid8 NOT NULL)");
    sample_sql(ret_sample, "GRANT SELECT, INSERT ON sample_items TO PUBLIC");
    ret_sample->port = support_free_port();
    CLEANUP(xfree) char *port = xasprintf("SAMPLE_PORT=%u", ret_sample->port);
    CLEANUP(xfree) char *url = xasprintf("SAMPLE_POSTGRES_URL=%s", ret_sample->database.url);
    env[count++] = port;
    env[count++] = url;
    for (; more && *more; more++) {
        cr_assert(count + 1 < ENV_MAX);
        env[count++] = *more;
    }
    char path[SUPPORT_PATH_MAX];
    const char *const argv[] = { support_build_path("services/chassis/tests/sample-service", path), NULL };
    support_process_start(&ret_sample->process, argv, env);
}

void sample_start(struct sample *ret_sample, const char *const *more)
{
    enum { MORE_MAX = 8 };
    const char *all[MORE_MAX + 1] = { NULL };
    size_t count = 0;
    bool has_identity = false;
    for (; more && *more; more++) {
        cr_assert(count < MORE_MAX - 1);
        has_identity |= strncmp(*more, "IDENTITY_URL=", 13) == 0;
        all[count++] = *more;
    }
    CLEANUP(xfree) char *own = has_identity ? NULL : xasprintf("IDENTITY_URL=%s", identity_url(identity_start()));
    if (own)
        all[count++] = own;
    sample_launch(ret_sample, all);
    support_process_wait_healthy(&ret_sample->process, ret_sample->port, 20000);
}

void sample_log_has(const struct sample *sample, const char *text, uint32_t timeout_ms)
{
    static char log[DRIVE_TEXT_MAX];
    for (uint32_t waited = 0; waited <= timeout_ms * PATIENCE; waited += 20) {
        FILE *file = fopen(sample->process.log_path, "re");
        cr_assert_not_null(file);
        const size_t len = fread(log, 1, sizeof log - 1, file);
        fclose(file);
        log[len] = '\0';
        if (strstr(log, text))
            return;
        pause_ms(20);
    }
    cr_assert_fail("the log has no \"%s\":\n%s", text, log);
}

/* ---- Bytes ---- */

int drive_connect(uint16_t port)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

void drive_send(int fd, const char *bytes, size_t len)
{
    for (size_t sent = 0; sent < len;) {
        const ssize_t n = send(fd, bytes + sent, len - sent, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the service hung up: what it answered tells why */
        sent += (size_t)n;
    }
}

/* Length of the first answer in text, 0 if it is not complete. */
static size_t answer_len(const char *text, size_t len)
{
    const char *stop = memmem(text, len, "\r\n\r\n", 4);
    if (!stop)
        return 0;
    const size_t head = (size_t)(stop + 4 - text);
    const char *field = memmem(text, head, "Content-Length: ", 16);
    const size_t body = field ? strtoul(field + 16, NULL, 10) : 0;
    return head + body <= len ? head + body : 0;
}

static size_t answers_in(const char *text, size_t len)
{
    size_t count = 0;
    for (size_t at = 0, one = 0; (one = answer_len(text + at, len - at)) > 0; at += one)
        count++;
    return count;
}

size_t drive_read(int fd, size_t answers, uint32_t timeout_ms, char ret_text[DRIVE_TEXT_MAX])
{
    const int64_t until_us = monotonic_us() + timeout_ms * PATIENCE * 1000LL;
    size_t len = 0;
    while (len < DRIVE_TEXT_MAX - 1 && answers_in(ret_text, len) < answers) {
        struct pollfd wait = { .fd = fd, .events = POLLIN };
        const int64_t left_ms = (until_us - monotonic_us()) / 1000;
        if (left_ms <= 0 || poll(&wait, 1, (int)left_ms) <= 0)
            break;
        const ssize_t n = recv(fd, ret_text + len, DRIVE_TEXT_MAX - 1 - len, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    ret_text[len] = '\0';
    return len;
}

static bool is_closed(int fd, int within_ms)
{
    char byte;
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    return poll(&wait, 1, within_ms) > 0 && recv(fd, &byte, 1, 0) <= 0;
}

void drive_summary(int fd, const char *text, size_t len, char *ret_summary, size_t size)
{
    size_t used = 0;
    ret_summary[0] = '\0';
    for (size_t at = 0, one = 0; (one = answer_len(text + at, len - at)) > 0; at += one)
        used += (size_t)snprintf(ret_summary + used, size - used, "%s%.3s", used ? " " : "", text + at + 9);
    /* What says that it will be closed, or says nothing, may take its time. */
    const bool announced = len == 0 || memmem(text, len, "\r\nConnection: close\r\n", 21) != NULL;
    if (is_closed(fd, announced ? 10000 : 100))
        snprintf(ret_summary + used, size - used, "%sclosed", used ? " " : "");
}

int drive_post(int fd, const char *path, const char *body)
{
    CLEANUP(xfree)
    char *text =
        xasprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
            path, strlen(body), body);
    CLEANUP(xfree) char *answer = xmalloc(DRIVE_TEXT_MAX);
    drive_send(fd, text, strlen(text));
    const size_t len = drive_read(fd, 1, 10000, answer);
    return len > 12 ? atoi(answer + 9) : 0;
}

/* ---- An identity service that only publishes its keys ---- */

struct identity {
    pthread_mutex_t lock;
    struct jwt_signer *signer; /* under lock */
    int listen_fd;
    char url[64];
};

static void identity_answer(struct identity *identity, int fd)
{
    char request[2048];
    if (recv(fd, request, sizeof request, 0) <= 0)
        return;
    pthread_mutex_lock(&identity->lock);
    CLEANUP(xfree) char *jwks = jwt_signer_jwks(identity->signer);
    pthread_mutex_unlock(&identity->lock);
    CLEANUP(xfree)
    char *answer =
        xasprintf("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", strlen(jwks), jwks);
    drive_send(fd, answer, strlen(answer));
}

static void *identity_run(void *context)
{
    struct identity *identity = context;
    for (;;) {
        const int fd = accept4(identity->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return NULL;
        identity_answer(identity, fd);
        close(fd);
    }
}

void identity_rotate(struct identity *identity)
{
    char path[] = "/tmp/penstock-test-key-XXXXXX";
    struct error e = { 0 };
    close(mkstemp(path));
    unlink(path);
    pthread_mutex_lock(&identity->lock);
    jwt_signer_free(TAKE(identity->signer));
    cr_assert(jwt_signer_open(path, true, &identity->signer, &e), "%s", e.message);
    pthread_mutex_unlock(&identity->lock);
    unlink(path);
}

struct identity *identity_start(void)
{
    struct identity *identity = xcalloc(1, sizeof *identity);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    pthread_t thread;
    pthread_mutex_init(&identity->lock, NULL);
    identity_rotate(identity);
    identity->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(identity->listen_fd, (struct sockaddr *)&address, size), 0);
    cr_assert_eq(listen(identity->listen_fd, 16), 0);
    getsockname(identity->listen_fd, (struct sockaddr *)&address, &size);
    snprintf(identity->url, sizeof identity->url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    pthread_create(&thread, NULL, identity_run, identity);
    pthread_detach(thread);
    return identity;
}

char *identity_token(struct identity *identity, const char *subject)
{
    char *token = NULL;
    struct error e = { 0 };
    pthread_mutex_lock(&identity->lock);
    const int64_t now_s = now_us() / 1000000;
    cr_assert(jwt_sign(identity->signer, "penstock", "penstock", subject, "", now_s, 900, &token, &e), "%s", e.message);
    pthread_mutex_unlock(&identity->lock);
    return token;
}

const char *identity_url(const struct identity *identity)
{
    return identity->url;
}
