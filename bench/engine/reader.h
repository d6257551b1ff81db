/* reader.h -- the other thread: takes everything out of a queue and looks at each report. */
#pragma once

#include "spsc.h"

struct reader;

/* `size_of` gives the bytes of the report that begins at `report`. Reports are a multiple of 8 bytes. Exits when there
 * is no memory or thread: a benchmark. */
struct reader *reader_new(size_t (*size_of)(const unsigned char *report));
struct spsc *reader_queue(struct reader *reader);

/* Waits until all that was put has been read. */
void reader_wait(const struct reader *reader);

/* How many reports were read. */
uint64_t reader_free(struct reader *reader);
