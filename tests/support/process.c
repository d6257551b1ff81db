/* process.c -- children, and talking to them over HTTP. */
#include "support.h"
#include "support_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { POLL_INTERVAL_MS = 20, PATIENCE = 6, HTTP_TIMEOUT_S = 30, HTTP_HEAD_MAX = 4096 };

static void sleep_ms(uint32_t ms)
{
    nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 }, NULL);
}

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The child's side of support_spawn(): never returns. */
static void become(const char *const *argv, const char *const *env, int in, int out, pid_t parent)
{
    if (out == SUPPORT_DETACHED) {
        setsid();
        int log = open("/dev/null", O_WRONLY);
        dup2(log, STDOUT_FILENO);
        dup2(log, STDERR_FILENO);
    } else {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) /* it died before the line above */
            _exit(127);
    }
    if (out >= 0) {
        dup2(out, STDOUT_FILENO);
        dup2(out, STDERR_FILENO);
    }
    dup2(in >= 0 ? in : open("/dev/null", O_RDONLY), STDIN_FILENO);
    closefrom(3);
    for (size_t i = 0; env[i]; i++)
        putenv((char *)env[i]);
    signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv(argv[0], (char *const *)argv);
    dprintf(STDERR_FILENO, "test support: cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

pid_t support_spawn(const char *const *argv, const char *const *env, int in, int out)
{
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        support_fail("fork: %s", strerror(errno));
    if (pid == 0)
        become(argv, env, in, out, parent);
    return pid;
}

void support_process_start(struct support_process *ret_process, const char *const *argv, const char *const *env)
{
    const char *slash = strrchr(argv[0], '/');
    const char *folder = getenv("TMPDIR");
    memset(ret_process, 0, sizeof *ret_process);
    support_format(ret_process->name, sizeof ret_process->name, "%s", slash ? slash + 1 : argv[0]);
    support_format(ret_process->log_path, sizeof ret_process->log_path, "%s/penstock-test-%s-XXXXXX",
        folder && *folder ? folder : "/tmp", ret_process->name);
    int log = mkostemp(ret_process->log_path, O_CLOEXEC | O_APPEND);
    if (log < 0)
        support_fail("%s: %s", ret_process->log_path, strerror(errno));
    ret_process->pid = support_spawn(argv, env, -1, log);
    close(log);
}

static void print_log(const struct support_process *process)
{
    FILE *file = fopen(process->log_path, "re");
    if (!file)
        return;
    fprintf(stderr, "---- log of %s\n", process->name);
    char line[2048];
    while (fgets(line, sizeof line, file))
        fputs(line, stderr);
    fprintf(stderr, "---- end of log of %s\n", process->name);
    fclose(file);
}

static int forget(struct support_process *process, int status)
{
    process->pid = 0;
    int result = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (result != 0 && result != 128 + SIGKILL)
        print_log(process);
    unlink(process->log_path);
    return result;
}

bool support_process_running(struct support_process *process)
{
    int status;
    if (process->pid == 0)
        return false;
    if (waitpid(process->pid, &status, WNOHANG) == 0)
        return true;
    forget(process, status);
    return false;
}

int support_process_wait(struct support_process *process, uint32_t timeout_ms)
{
    int status = 0;
    for (int64_t end = clock_ms() + timeout_ms * PATIENCE; waitpid(process->pid, &status, WNOHANG) == 0;
         sleep_ms(POLL_INTERVAL_MS)) {
        if (clock_ms() > end) {
            print_log(process);
            support_fail("%s did not end within %d times %u ms", process->name, PATIENCE, timeout_ms);
        }
    }
    return forget(process, status);
}

int support_process_stop(struct support_process *process, uint32_t timeout_ms)
{
    if (process->pid == 0)
        support_fail("%s is not running", process->name);
    kill(process->pid, SIGTERM);
    return support_process_wait(process, timeout_ms);
}

void support_process_kill(struct support_process *process)
{
    int status;
    if (process->pid == 0)
        return;
    kill(process->pid, SIGKILL);
    if (waitpid(process->pid, &status, 0) == process->pid)
        forget(process, status);
}

void support_process_wait_healthy(struct support_process *process, uint16_t port, uint32_t timeout_ms)
{
    for (int64_t end = clock_ms() + timeout_ms * PATIENCE; support_http(port, "GET", "/health", "", NULL, NULL) != 200;
         sleep_ms(POLL_INTERVAL_MS)) {
        if (!support_process_running(process))
            support_fail("%s ended before it was healthy", process->name);
        if (clock_ms() > end) {
            print_log(process);
            support_fail("%s was not healthy within %d times %u ms", process->name, PATIENCE, timeout_ms);
        }
    }
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)
    };
    struct timeval timeout = { .tv_sec = HTTP_TIMEOUT_S };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        support_fail("socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        text += n;
        len -= (size_t)n;
    }
    return true;
}

/* Joins the chunks of a chunked body in place. */
static void join_chunks(char *body)
{
    char *to = body, *end = body + strlen(body);
    for (char *from = body; from < end;) {
        char *data;
        size_t len = strtoul(from, &data, 16);
        data = strstr(data, "\r\n");
        if (len == 0 || !data || len > (size_t)(end - data - 2))
            break;
        memmove(to, data + 2, len);
        to += len;
        from = data + 2 + len + 2;
    }
    *to = '\0';
}

int support_http(uint16_t port, const char *method, const char *path, const char *headers, const char *body,
    char ret_body[SUPPORT_BODY_MAX])
{
    char head[HTTP_HEAD_MAX], reply[SUPPORT_BODY_MAX + HTTP_HEAD_MAX];
    if (ret_body)
        ret_body[0] = '\0';
    int fd = connect_to(port);
    if (fd < 0)
        return 0;
    size_t body_len = body ? strlen(body) : 0, used = 0;
    support_format(head, sizeof head,
        "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n", method, path,
        body_len, headers);
    bool sent = write_all(fd, head, strlen(head)) && write_all(fd, body ? body : "", body_len);
    for (ssize_t n; sent && used < sizeof reply - 1 && (n = recv(fd, reply + used, sizeof reply - 1 - used, 0)) > 0;)
        used += (size_t)n;
    close(fd);
    reply[used] = '\0';
    int status = 0;
    if (sscanf(reply, "HTTP/1.%*d %d", &status) != 1)
        return 0;
    char *text = strstr(reply, "\r\n\r\n");
    if (text && ret_body) {
        text[2] = '\0';
        bool chunked = strcasestr(reply, "\r\ntransfer-encoding: chunked\r\n") != NULL;
        if (chunked)
            join_chunks(text + 4);
        snprintf(ret_body, SUPPORT_BODY_MAX, "%s", text + 4);
    }
    return status;
}
