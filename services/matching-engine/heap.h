/* heap.h -- the heap of the process: jemalloc's, which a snapshot's child has no part in.
 *
 * Kafka's client holds some hundred megabytes, used by many threads. A fork() would have to copy its page tables, and
 * then each page of it that is written, all while matching waits. What the child needs lies outside the heap:
 * book_reserve().
 *
 * A thread's first call of the heap must not be a free(): jemalloc 5.3 then sets the thread up within it and, with
 * hooks, may wait for a lock that it holds itself. */
#pragma once

/* Before the first thread. Without jemalloc, as under the sanitizers, nothing: then the child has a part in the heap.
 */
void heap_keep_from_children(void);
