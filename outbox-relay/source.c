#include "source.h"

#include "source_wal.h"

bool source_open(const struct source_options *options, struct source **ret_source, struct error *e)
{
    return options->mode == SOURCE_WAL ? source_wal_open(options, ret_source, e)
                                       : source_poll_open(options, ret_source, e);
}

void source_free(struct source *source)
{
    if (source)
        source->ops->free(source);
}

bool source_identify(struct source *source, struct position *position, struct error *e)
{
    return source->ops->identify(source, position, e);
}

bool source_resume(struct source *source, const struct position *position, struct error *e)
{
    return source->ops->resume(source, position, e);
}

bool source_next(struct source *source, int64_t wait_us, struct source_page *ret_page, struct error *e)
{
    return source->ops->next(source, wait_us, ret_page, e);
}

void source_limit(struct source *source, int64_t rows)
{
    source->ops->limit(source, rows);
}

void source_pump(struct source *source)
{
    source->ops->pump(source);
}

bool source_committed(struct source *source, const struct position *position, struct error *e)
{
    return source->ops->committed(source, position, e);
}

const struct position *source_position(const struct source *source)
{
    return source->ops->position(source);
}

const struct position *source_page_position(const struct source *source)
{
    return source->ops->page_position(source);
}

void source_get_waiting(const struct source *source, struct source_waiting *ret_waiting)
{
    source->ops->waiting(source, ret_waiting);
}

const char *source_content_type(const struct source *source)
{
    return source->ops->content_type(source);
}
