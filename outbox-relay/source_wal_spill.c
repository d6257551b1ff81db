#include "source_wal_spill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* In the file: length (4 bytes, the machine's own order), message; and again. */
struct wal_spill {
    FILE *file;
    uint32_t xid;
    uint32_t *aborted; /* ascending once rewound */
    size_t aborted_count, aborted_capacity;
    char *message; /* the last one read */
    size_t message_capacity;
};

static bool spill_failed(const char *what, struct error *e)
{
    int code = errno;

    error_set(e, ERROR_TRANSIENT, "cannot %s the file for large transactions: %s", what, strerror(code));
    e->code = code;
    return false;
}

bool wal_spill_open(const char *folder, uint32_t xid, struct wal_spill **ret_spill, struct error *e)
{
    CLEANUP(wal_spill_free) struct wal_spill *spill = xcalloc(1, sizeof *spill);
    CLEANUP(xfree) char *path = xasprintf("%s/outbox-relay-XXXXXX", folder);
    int fd = mkostemp(path, O_CLOEXEC);

    if (fd < 0)
        return spill_failed("make", e);
    unlink(path);
    spill->xid = xid;
    spill->file = fdopen(fd, "w+");
    if (!spill->file) {
        close(fd);
        return spill_failed("open", e);
    }
    setvbuf(spill->file, NULL, _IOFBF, WAL_SPILL_BUFFER_BYTES);
    *ret_spill = TAKE(spill);
    return true;
}

void wal_spill_free(struct wal_spill *spill)
{
    if (!spill)
        return;
    if (spill->file)
        fclose(spill->file);
    xfree(spill->aborted);
    xfree(spill->message);
    xfree(spill);
}

uint32_t wal_spill_xid(const struct wal_spill *spill)
{
    return spill->xid;
}

bool wal_spill_add(struct wal_spill *spill, struct bytes message, struct error *e)
{
    uint32_t len = (uint32_t)message.len;

    if (fwrite(&len, sizeof len, 1, spill->file) != 1 ||
        (len > 0 && fwrite(message.data, message.len, 1, spill->file) != 1))
        return spill_failed("write", e);
    return true;
}

bool wal_spill_abort(struct wal_spill *spill, uint32_t subxid, struct error *e)
{
    if (spill->aborted_count == WAL_SPILL_ABORTS_MAX)
        return error_set(e, ERROR_TRANSIENT, "more than %d subtransactions of transaction %u were rolled back",
            WAL_SPILL_ABORTS_MAX, spill->xid);
    if (spill->aborted_count == spill->aborted_capacity) {
        spill->aborted_capacity = spill->aborted_capacity ? spill->aborted_capacity * 2 : 16;
        spill->aborted = xrealloc(spill->aborted, spill->aborted_capacity * sizeof *spill->aborted);
    }
    spill->aborted[spill->aborted_count++] = subxid;
    return true;
}

static int compare_xids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

bool wal_spill_rewind(struct wal_spill *spill, struct error *e)
{
    if (spill->aborted_count > 0)
        qsort(spill->aborted, spill->aborted_count, sizeof *spill->aborted, compare_xids);
    if (fflush(spill->file) != 0 || fseeko(spill->file, 0, SEEK_SET) != 0)
        return spill_failed("write", e);
    return true;
}

bool wal_spill_next(struct wal_spill *spill, struct bytes *ret_message, struct error *e)
{
    uint32_t len;

    *ret_message = (struct bytes){ 0 };
    if (fread(&len, sizeof len, 1, spill->file) != 1)
        return ferror(spill->file) ? spill_failed("read", e) : true;
    if (len >= spill->message_capacity) {
        spill->message_capacity = (size_t)len * 2 + 1;
        spill->message = xrealloc(spill->message, spill->message_capacity);
    }
    if (len > 0 && fread(spill->message, len, 1, spill->file) != 1)
        return spill_failed("read", e);
    *ret_message = (struct bytes){ spill->message, len };
    return true;
}

bool wal_spill_aborted(const struct wal_spill *spill, uint32_t subxid)
{
    return spill->aborted_count > 0 &&
           bsearch(&subxid, spill->aborted, spill->aborted_count, sizeof subxid, compare_xids);
}
