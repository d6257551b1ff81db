/* HTTP in: command → reply. */
#include "http.h"

#include "../chassis/metrics.h"
#include "../chassis/service.h"
#include "requests.h"

#include <stdlib.h>
#include <string.h>

/* The problem of error_kind REFUSED with two members of its own (RFC 9457, 3.2). */
static void reply_insufficient(const struct command *command, struct http_call *call)
{
    json_t *problem = http_problem(&command->error, &call->request.trace);
    json_object_set_new(problem, "asset", json_string(command->short_asset));
    json_object_set_new(problem, "available", json_string(command->available));
    call->reply = (struct http_reply){
        .status = http_status(&command->error), .json = problem, .content_type = "application/problem+json"
    };
}

static void reply_to(const struct command *command, struct http_call *call)
{
    if (command->error.kind != ERROR_NONE && command->short_asset) {
        reply_insufficient(command, call);
        return;
    }
    if (command->error.kind != ERROR_NONE) {
        call->error = command->error;
        return;
    }
    call->reply = (struct http_reply){
        .status = command->status,
        .body = xstrdup(command->reply ? command->reply : "{}"),
        .body_len = strlen(command->reply ? command->reply : "{}"),
        .replayed = command->replayed,
    };
}

static void count_answers(const struct command *commands, size_t count)
{
    size_t done = 0, replayed = 0, refused = 0;
    for (size_t i = 0; i < count; i++) {
        refused += commands[i].error.kind != ERROR_NONE;
        replayed += commands[i].replayed;
        done += commands[i].error.kind == ERROR_NONE && !commands[i].replayed;
    }
    static const char name[] = "ledger_commands_total", help[] = "Commands over HTTP by outcome";
    metric_add(metric_counter(name, "outcome=\"done\"", help), done);
    metric_add(metric_counter(name, "outcome=\"replayed\"", help), replayed);
    metric_add(metric_counter(name, "outcome=\"refused\"", help), refused);
}

bool http_commands(struct pg *pg, struct outbox *outbox, struct http_call *const *calls, size_t count, struct error *e)
{
    CLEANUP(arena_free) struct arena *arena = arena_new();
    struct command *commands = arena_alloc(arena, (count + 1) * sizeof *commands);
    struct http_call **asking = arena_alloc(arena, (count + 1) * sizeof(struct http_call *));
    size_t asked = 0;
    for (size_t i = 0; i < count; i++) {
        if (!command_from_request(&calls[i]->request, arena, &commands[asked], &calls[i]->error))
            continue;
        asking[asked++] = calls[i];
    }
    if (!commands_run(pg, outbox, service_state(), arena, commands, asked, now_us(), e))
        return false;
    for (size_t i = 0; i < asked; i++)
        reply_to(&commands[i], asking[i]);
    count_answers(commands, asked);
    crash_point("ledger.decided");
    return true;
}
