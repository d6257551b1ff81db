#include "reader.h"

#include <stdlib.h>

enum { REPORT_SEEN_MAX = 1 << 16 }; /* the longest report of any subject */

struct reader {
    struct spsc queue;
    pthread_t thread;
    size_t (*size_of)(const unsigned char *report);
    uint64_t reports;
    unsigned char pieces[REPORT_SEEN_MAX]; /* a report over the ring's seam */
};

/* Counts the whole reports in `data`; the size of what remains is returned. */
static size_t look(struct reader *reader, const unsigned char *data, size_t size)
{
    while (size >= sizeof(uint64_t)) {
        size_t report = reader->size_of(data);
        if (report > size)
            break;
        reader->reports++;
        data += report;
        size -= report;
    }
    return size;
}

static void *run(void *argument)
{
    struct reader *reader = argument;
    const unsigned char *data;
    size_t size, kept = 0;

    while ((size = spsc_peek(&reader->queue, &data)) > 0) {
        if (kept == 0) {
            kept = look(reader, data, size);
            memcpy(reader->pieces, data + size - kept, kept);
        } else { /* a little at a time, until the report is whole */
            size = size < REPORT_SEEN_MAX - kept ? size : REPORT_SEEN_MAX - kept;
            memcpy(reader->pieces + kept, data, size);
            size_t left = look(reader, reader->pieces, kept + size);
            memmove(reader->pieces, reader->pieces + kept + size - left, left);
            kept = left;
        }
        spsc_done(&reader->queue, size);
    }
    return NULL;
}

struct reader *reader_new(size_t (*size_of)(const unsigned char *report))
{
    struct reader *reader = aligned_alloc(128, (sizeof *reader + 127) / 128 * 128);

    if (!reader)
        abort();
    memset(reader, 0, sizeof *reader);
    reader->size_of = size_of;
    if (pthread_create(&reader->thread, NULL, run, reader) != 0)
        abort();
    return reader;
}

struct spsc *reader_queue(struct reader *reader)
{
    return &reader->queue;
}

void reader_wait(const struct reader *reader)
{
    while (atomic_load_explicit(&reader->queue.consumer.head, memory_order_acquire) !=
           atomic_load_explicit(&reader->queue.producer.tail, memory_order_relaxed))
        sched_yield();
}

uint64_t reader_free(struct reader *reader)
{
    spsc_close(&reader->queue);
    pthread_join(reader->thread, NULL);
    uint64_t reports = reader->reports;
    free(reader);
    return reports;
}
