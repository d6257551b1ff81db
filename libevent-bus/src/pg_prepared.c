/* pg_prepared.c -- which statements the server knows on this connection. */
#include "pg_private.h"

#include <assert.h>

_Static_assert((PG_PREPARED_MAX & (PG_PREPARED_MAX - 1)) == 0, "places are found by masking");

void pg_prepared_clear(struct pg_prepared_set *set)
{
    if (set->places)
        for (size_t i = 0; i < PG_PREPARED_MAX; i++)
            xfree(set->places[i].types);
    xfree(set->places);
    *set = (struct pg_prepared_set){ 0 };
}

static size_t hash_name(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
    for (const char *p = name; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 0x100000001b3;
    return (size_t)(hash ^ hash >> 32) & (PG_PREPARED_MAX - 1);
}

static bool same_arguments(const struct pg_prepared *prepared, const struct pg_args *args)
{
    return prepared->args == args->count && memcmp(prepared->types, args->types, args->count * sizeof(Oid)) == 0;
}

/* Binary arguments of another type than the server expects would be read as something else, without an error. */
static struct pg_prepared *checked(
    struct pg_prepared *found, const struct pg_statement *statement, const struct pg_args *args, struct error *e)
{
    if (found->statement->sql != statement->sql && strcmp(found->statement->sql, statement->sql) != 0) {
        error_set(e, ERROR_FATAL, "two statements are named %s", statement->name);
        return NULL;
    }
    if (!same_arguments(found, args)) {
        error_set(e, ERROR_FATAL, "%s: arguments of other types than at its first use", statement->name);
        return NULL;
    }
    return found;
}

struct pg_prepared *pg_prepared_find(
    struct pg_prepared_set *set, const struct pg_statement *statement, const struct pg_args *args, struct error *e)
{
    assert(strlen(statement->name) < PG_STATEMENT_NAME_MAX);
    if (!set->places)
        set->places = xcalloc(PG_PREPARED_MAX, sizeof *set->places);
    size_t i = hash_name(statement->name);
    for (; set->places[i].statement; i = (i + 1) & (PG_PREPARED_MAX - 1))
        if (strcmp(set->places[i].statement->name, statement->name) == 0)
            return checked(&set->places[i], statement, args, e);

    if (set->count == PG_PREPARED_MAX - 1) { /* one place stays free: it ends the search */
        error_set(e, ERROR_FATAL, "more than %d statements on one connection", PG_PREPARED_MAX - 1);
        return NULL;
    }
    struct pg_prepared *added = &set->places[i];
    *added = (struct pg_prepared){ .statement = statement, .args = args->count };
    added->types = xmalloc(args->count * sizeof(Oid));
    memcpy(added->types, args->types, args->count * sizeof(Oid));
    set->count++;
    return added;
}
