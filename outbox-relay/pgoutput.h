/* pgoutput.h -- the messages of Postgres' logical replication: what a walsender puts around them (frames), and what the
 * output plugin pgoutput writes (protocol versions 1 and 2). Pure: no I/O, no state, any thread; what it returns
 * points into the bytes it was given. Whatever the bytes are, it reads within them or says ERROR_INVALID. */
#pragma once

#include <event_bus/error.h>

enum { PGOUTPUT_COLUMNS_MAX = 1664 }; /* MaxTupleAttributeNumber */

enum pgoutput_kind {
    PGOUTPUT_BEGIN = 'B',
    PGOUTPUT_COMMIT = 'C',
    PGOUTPUT_ORIGIN = 'O',
    PGOUTPUT_MESSAGE = 'M',
    PGOUTPUT_RELATION = 'R',
    PGOUTPUT_TYPE = 'Y',
    PGOUTPUT_INSERT = 'I',
    PGOUTPUT_UPDATE = 'U',
    PGOUTPUT_DELETE = 'D',
    PGOUTPUT_TRUNCATE = 'T',
    PGOUTPUT_STREAM_START = 'S',
    PGOUTPUT_STREAM_STOP = 'E',
    PGOUTPUT_STREAM_COMMIT = 'c',
    PGOUTPUT_STREAM_ABORT = 'A',
};

enum pgoutput_format {
    PGOUTPUT_NULL = 'n',
    PGOUTPUT_UNCHANGED = 'u', /* a value kept apart that an update did not touch: not sent */
    PGOUTPUT_TEXT = 't',
    PGOUTPUT_BINARY = 'b',
};

struct pgoutput_value {
    enum pgoutput_format format;
    struct bytes value; /* of PGOUTPUT_TEXT and _BINARY */
};

struct pgoutput_column {
    struct bytes name;
    uint32_t type; /* oid */
};

/* Only the members that the comment names for a kind are set. */
struct pgoutput_message {
    enum pgoutput_kind kind;
    uint32_t xid;           /* BEGIN, STREAM_*: the transaction. Within a stream: the (sub)transaction of the change */
    uint32_t subxid;        /* STREAM_ABORT: what was rolled back; the same as xid if all of it was */
    uint64_t commit_lsn;    /* BEGIN, COMMIT, STREAM_COMMIT: where the commit record begins */
    uint64_t end_lsn;       /* COMMIT, STREAM_COMMIT: where it ends */
    int64_t commit_time_us; /* BEGIN, COMMIT, STREAM_COMMIT: since 1970 */
    uint32_t relation;      /* RELATION, INSERT: oid */
    struct bytes schema, name; /* RELATION */
    uint16_t count;            /* RELATION: of columns; INSERT: of values */
    union {
        struct pgoutput_column columns[PGOUTPUT_COLUMNS_MAX]; /* RELATION */
        struct pgoutput_value values[PGOUTPUT_COLUMNS_MAX];   /* INSERT: the new row */
    };
};

/* in_stream: between STREAM_START and STREAM_STOP, where changes carry their transaction. Of kinds that change nothing
 * here (ORIGIN, MESSAGE, TYPE, UPDATE, DELETE, TRUNCATE) only the kind is read. */
MUST_CHECK bool pgoutput_parse(
    struct bytes data, bool in_stream, struct pgoutput_message *ret_message, struct error *e);

/* ---- Frames of a walsender ---- */

struct pgoutput_frame {
    bool keepalive;
    bool reply_requested; /* keepalive: the server wants to hear of us now */
    uint64_t lsn;         /* keepalive: all that was committed before this has been sent; else: where the change is */
    struct bytes data;    /* not keepalive: a message for pgoutput_parse() */
};
MUST_CHECK bool pgoutput_read_frame(struct bytes data, struct pgoutput_frame *ret_frame, struct error *e);

enum { PGOUTPUT_STATUS_BYTES = 34 };
/* Standby status update: all before `lsn` has been dealt with and may go. */
void pgoutput_write_status(uint64_t lsn, int64_t at_us, char ret_data[PGOUTPUT_STATUS_BYTES]);

/* "16/B374D848" */
enum { LSN_TEXT_MAX = 18 };
MUST_CHECK bool lsn_parse(const char *text, uint64_t *ret_lsn);
const char *lsn_format(uint64_t lsn, char ret_text[LSN_TEXT_MAX]); /* returns ret_text */
