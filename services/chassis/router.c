#include "router.h"

#include <stdio.h>

void router_add(struct router *router, const struct http_route *table)
{
    size_t added = 0;
    while (table[added].method)
        added++;
    router->routes = xrealloc(router->routes, (router->count + added + 1) * sizeof *router->routes);
    for (size_t i = 0; i < added; i++) {
        char *labels = xasprintf("route=\"%s\",method=\"%s\"", table[i].pattern, table[i].method);
        router->routes[router->count++] = (struct route){
            .spec = &table[i],
            .duration = metric_histogram(
                "request_duration_seconds", labels, "Time from the request's last byte to its answer, by route."),
        };
        xfree(labels);
    }
}

void router_release(struct router *router)
{
    xfree(router->routes);
    *router = (struct router){ 0 };
}

/* Compares piece by piece: ":name" takes a whole, non-empty piece. */
static bool path_matches(const char *pattern, const char *path, struct bytes params[HTTP_PARAMS_MAX])
{
    size_t found = 0;
    while (*pattern && *path) {
        if (*pattern == ':' && pattern[-1] == '/') {
            const size_t len = strcspn(path, "/");
            if (len == 0 || found == HTTP_PARAMS_MAX)
                return false;
            params[found++] = (struct bytes){ path, len };
            path += len;
            pattern += strcspn(pattern, "/");
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *pattern == '\0' && *path == '\0';
}

enum router_result router_match(
    const struct router *router, const char *method, const char *path, struct router_match *ret_match)
{
    enum router_result result = ROUTER_NO_PATH;
    struct router_match get = { 0 };
    const bool head = strcmp(method, "HEAD") == 0;
    for (size_t i = 0; i < router->count; i++) {
        struct router_match match = { .route = &router->routes[i] };
        if (!path_matches(match.route->spec->pattern, path, match.params))
            continue;
        if (strcmp(match.route->spec->method, method) == 0) {
            *ret_match = match;
            return ROUTER_FOUND;
        }
        if (head && !get.route && strcmp(match.route->spec->method, "GET") == 0)
            get = match;
        result = ROUTER_NO_METHOD;
    }
    if (!get.route)
        return result;
    *ret_match = get;
    return ROUTER_FOUND;
}

static void allow_add(char *text, size_t size, const char *method)
{
    const char *seen = strstr(text, method);
    const size_t len = strlen(method);
    if (seen && (seen[len] == ',' || seen[len] == '\0'))
        return;
    const size_t used = strlen(text);
    snprintf(text + used, size - used, "%s%s", used ? ", " : "", method);
}

void router_allow(const struct router *router, const char *path, char *ret_text, size_t size)
{
    struct bytes params[HTTP_PARAMS_MAX];
    ret_text[0] = '\0';
    for (size_t i = 0; i < router->count; i++) {
        const struct http_route *spec = router->routes[i].spec;
        if (!path_matches(spec->pattern, path, params))
            continue;
        allow_add(ret_text, size, spec->method);
        if (strcmp(spec->method, "GET") == 0)
            allow_add(ret_text, size, "HEAD");
    }
    if (ret_text[0])
        allow_add(ret_text, size, "OPTIONS");
}

static struct metric *requests_counter(const char *route, const char *method, int status)
{
    char *labels = xasprintf("route=\"%s\",method=\"%s\",status=\"%d\"", route, method, status);
    struct metric *count = metric_counter("requests_total", labels, "Requests answered, by route, method and status.");
    xfree(labels);
    return count;
}

void router_observe(struct route *route, const char *method, int status, double seconds)
{
    if (!route) {
        metric_add(requests_counter("none", method, status), 1);
        return;
    }
    metric_observe(route->duration, seconds);
    for (size_t i = 0; i < ROUTER_STATUSES_MAX; i++) {
        if (!route->statuses[i].count) {
            route->statuses[i].status = status;
            route->statuses[i].count = requests_counter(route->spec->pattern, route->spec->method, status);
        }
        if (route->statuses[i].status == status) {
            metric_add(route->statuses[i].count, 1);
            return;
        }
    }
    metric_add(requests_counter(route->spec->pattern, route->spec->method, status), 1);
}
