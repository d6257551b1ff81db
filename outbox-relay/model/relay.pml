/* relay.pml -- the relay's protocol as a machine, for spin: docs/decisions/outbox-order.md and relay-exactly-once.md.
 *
 * Who takes part: transactions that write one outbox row each; Postgres, which may die and forget what was not on disk; two relays
 * with their clean-up, which may die, pause for any time (that is: any interleaving) and take each other's lease; Kafka's
 * transaction coordinator, which may answer too late; another source's transaction on the position topic; a read_committed reader.
 *
 * What is claimed: a committed row is published (NO_LOSS), once (NO_DUPLICATE), the rows of a key in the order in which they were
 * committed (ORDER), and nothing that Postgres could still forget (NO_PHANTOM).
 *
 * Each -D that `check.sh` names takes one safeguard out; then spin must find a run in which a claim does not hold.
 *
 * Not here: parking, pages of more than a row, many sources. The slot of WAL mode is clean-up: both make rows unreadable that a
 * position covers. The delay before clean-up is no safeguard: all this holds without it. */

#ifndef TXS
#define TXS 3 /* transactions, 2 or 3; numbers 0 and 1 write the same key, whose lock they hold until their end */
#endif
#ifndef RELAYS
#define RELAYS 2 /* or 1 */
#endif
#ifndef TROUBLES
#define TROUBLES 2 /* how often something goes wrong in one run: whatever `fate` and the words "troubles--" have to offer */
#endif
#ifndef OTHERS
#define OTHERS 0 /* transactions of other sources on the position topic */
#endif

#define NO_DUPLICATE 1
#define NO_PHANTOM 2
#define ORDER 4
#define NO_LOSS 8
#ifndef CLAIMS
#define CLAIMS (NO_DUPLICATE | NO_PHANTOM | ORDER | NO_LOSS)
#endif
#define claim(name, what) assert(!((name) & CLAIMS) || (what))

#define NOBODY 2
#define bit(n) (1 << (n))
#define has(set, n) ((set) & bit(n))

/* A position: the xids that `before` and `now` see, and the last id of the round, in one number. */
#define position(b, n, l) ((b) | (n) << 4 | (l) << 8)
#define before(p) ((p) & 15)
#define now_of(p) ((p) >> 4 & 15)
#define last(p) ((p) >> 8)
#define in_round(p) (before(p) != now_of(p))

byte troubles = TROUBLES;

/* ---- Postgres ---- */

#define IDLE 0
#define RUNNING 1 /* has its xid */
#define INSERTED 2
#define COMMITTED 3
#define GONE 4 /* rolled back, or forgotten */

byte tx[TXS], xid[TXS], id[TXS];
byte unflushed; /* transactions whose end is not on disk */
byte finished;  /* xids: what a snapshot taken now sees */
byte next_xid = 1, next_id = 1;
byte disk_xid = 1, disk_id = 1; /* what those are after a crash */
byte key_lock = NOBODY;
byte deleted;                   /* transactions whose row was cleaned up */
byte lease = NOBODY;
bool cut[2]; /* this relay's connections are dead */

#define same_key(a, b) (((a) < 2) == ((b) < 2))
#define readable(t) (tx[t] == COMMITTED && !has(deleted, t))

inline flush() {
    unflushed = 0;
    disk_id = next_id;
    for (i : 0 .. TXS - 1) {
        if
        :: tx[i] >= INSERTED && xid[i] >= disk_xid -> disk_xid = xid[i] + 1
        :: else
        fi
    }
    i = 0
}

/* A crash with recovery, or a failover to a synchronous standby. */
inline postgres_dies() {
    for (i : 0 .. TXS - 1) {
        if
        :: tx[i] == RUNNING || tx[i] == INSERTED || (tx[i] == COMMITTED && has(unflushed, i)) ->
               claim(NO_PHANTOM, !has(published, i));
               tx[i] = GONE;
               id[i] = 0
        :: else
        fi;
        if
        :: xid[i] >= disk_xid -> xid[i] = 0 /* will be given again */
        :: else
        fi
    }
    i = 0;
    next_xid = disk_xid; next_id = disk_id; unflushed = 0; key_lock = NOBODY;
    finished = bit(disk_xid) - 2;
    lease = NOBODY; cut[0] = true; cut[1] = true
}

/* ---- Kafka ---- */

#ifdef NO_FENCE
#define IDS 2 /* a transactional.id for each relay */
#define tid(r) (r)
#else
#define IDS 2 /* every relay uses both, in turn */
#define tid(r) lane[r]
byte lane[2]; /* that of the relay's open or next transaction */
#endif

byte owner[IDS] = NOBODY; /* the relay whose session has the current epoch */
short rows[IDS];          /* of the open transaction, in order: two bits each, number + 1; the latest lowest */
short record[IDS] = -1;   /* its position record; -1: none */
short stored;             /* the position that a read_committed reader finds at the end of the topic */
#if OTHERS > 0
byte others = OTHERS;
bool other_open;           /* another source's transaction is open on the position topic … */
short stored_before_other; /* … and hides what comes after it from a reader who stops there */
#endif
byte published;           /* transactions whose row is visible */

/* What became of a relay's request to commit. It may be served after the relay has given up. */
#define NONE 0
#define ASKED 1
#define DONE 2
#define REFUSED 3
byte request[2];

/* Row t becomes visible. */
inline publish(t) {
    claim(NO_DUPLICATE, !has(published, t));
    claim(NO_PHANTOM, tx[t] == COMMITTED && !has(unflushed, t));
    for (j : 0 .. TXS - 1) {
        if
        :: j != t && same_key(j, t) && tx[j] == COMMITTED && id[j] < id[t] -> claim(ORDER, has(published, j))
        :: else
        fi
    }
    j = 0;
    published = published | bit(t)
}

inline abort_transaction(k) {
    rows[k] = 0;
    record[k] = -1
}

inline commit_transaction(k) {
#ifndef READ_UNCOMMITTED
    for (i : 0 .. 6) {
        if
        :: rows[k] >> (12 - 2 * i) & 3 -> publish((rows[k] >> (12 - 2 * i) & 3) - 1)
        :: else
        fi
    }
    i = 0;
#endif
    if
    :: record[k] >= 0 -> stored = record[k]
    :: else
    fi;
    abort_transaction(k)
}

/* The decision and its markers are one step: init_transactions answers only when both are done. */
inline serve(r) {
    if
    :: owner[tid(r)] == r && rows[tid(r)] -> commit_transaction(tid(r)); request[r] = DONE
    :: else -> request[r] = REFUSED
    fi
}

active proctype coordinator() {
    byte i, j;

end:
    do
    :: d_step { request[0] == ASKED -> serve(0) }
    :: d_step { request[1] == ASKED -> serve(1) }
    od
}

/* ---- Writers ---- */

#define WRITER (_pid - 1)

active [TXS] proctype writer() {
    byte i;

    /* It takes its xid before it waits: decision "outbox order". 0 and 1 are alike: 0 comes first. */
    atomic { WRITER != 1 || tx[0] != IDLE ->
        xid[WRITER] = next_xid; next_xid++; tx[WRITER] = RUNNING }
    if
    :: d_step { tx[WRITER] == RUNNING && (WRITER >= 2 || key_lock == NOBODY) ->
           if
           :: WRITER < 2 -> key_lock = WRITER
           :: else
           fi;
           id[WRITER] = next_id; next_id++; tx[WRITER] = INSERTED }
    :: tx[WRITER] == GONE -> goto over
    fi;
    if
    :: d_step { tx[WRITER] == INSERTED -> /* synchronous_commit = on: on disk first, then visible */
           tx[WRITER] = COMMITTED;
           flush();
           finished = finished | bit(xid[WRITER]);
           if :: key_lock == WRITER -> key_lock = NOBODY :: else fi }
    :: d_step { tx[WRITER] == INSERTED -> /* synchronous_commit = off, or a rollback */
           if
           :: true -> tx[WRITER] = COMMITTED
           :: true -> tx[WRITER] = GONE
           fi;
           unflushed = unflushed | bit(WRITER);
           finished = finished | bit(xid[WRITER]);
           if :: key_lock == WRITER -> key_lock = NOBODY :: else fi }
    :: tx[WRITER] == GONE
    fi;
over:
    skip
}

/* ---- Relays ---- */

short at[2], committed[2]; /* where its reader stands; what it knows to be in Kafka */
bool passed[2];            /* rows are in the open transaction */
bool dying[2];

#define RELAY (_pid - (TXS + 1))

/* Waits until the end of the topic is readable, then reads up to it. */
inline read_position(r) {
    d_step {
#if OTHERS > 0 && defined(READ_TO_LSO)
        committed[r] = (other_open -> stored_before_other : stored);
#elif OTHERS > 0
        !other_open -> committed[r] = stored;
#else
        committed[r] = stored;
#endif
        at[r] = committed[r] }
}

/* init_transactions of one id; a late request of our own under it can no longer be served. */
inline fence(r, k) {
    d_step {
        owner[k] = r;
        abort_transaction(k);
        if
        :: tid(r) == k -> request[r] = NONE
        :: else
        fi }
}

/* All ids are fenced, then the position is read. */
inline take_over(r) {
#if defined(NO_FENCE)
    fence(r, r);
    read_position(r)
#elif defined(READ_BEFORE_FENCE)
    read_position(r);
    fence(r, 0);
    fence(r, 1)
#elif defined(READ_BETWEEN_FENCES)
    fence(r, 0);
    read_position(r);
    fence(r, 1)
#else
    fence(r, 0);
    fence(r, 1);
#ifndef ANY_ID_FIRST
    lane[r] = 0; /* or two that take over at once could have one id each */
#endif
    read_position(r)
#endif
}

#ifdef NO_FENCE
#define next_id(r) skip
#else
#define next_id(r) lane[r] = 1 - lane[r]
#endif

/* The round's next row by id; TXS: none. */
inline next_row(r) {
    next = TXS;
    for (i : 0 .. TXS - 1) {
        if
#if defined(POSITION_BY_ID)
        :: readable(i) && id[i] > last(at[r]) && (next == TXS || id[i] < id[next]) -> next = i
#elif defined(XID_HORIZON)
        :: readable(i) && has(now_of(at[r]), xid[i]) && !has(before(at[r]), xid[i]) && (next == TXS || xid[i] < xid[next]) ->
               next = i
#else
        :: readable(i) && has(now_of(at[r]), xid[i]) && !has(before(at[r]), xid[i]) && id[i] > last(at[r]) &&
               (next == TXS || id[i] < id[next]) -> next = i
#endif
        :: else
        fi
    }
    i = 0
}

inline take_row(r) {
    rows[tid(r)] = rows[tid(r)] << 2 | (next + 1);
    passed[r] = true;
#ifdef XID_HORIZON
    at[r] = position(before(at[r]) | bit(xid[next]), now_of(at[r]), 0);
#else
    at[r] = position(before(at[r]), now_of(at[r]), id[next]);
#endif
#ifdef READ_UNCOMMITTED
    publish(next)
#endif
}

inline finish_round(r) {
#ifdef POSITION_BY_ID
    at[r] = position(now_of(at[r]), now_of(at[r]), last(at[r]))
#else
    at[r] = position(now_of(at[r]), now_of(at[r]), 0)
#endif
}

#ifdef XID_HORIZON
#define present (finished & ~(finished + 2)) /* all below the first xid that still runs */
#else
#define present finished
#endif

/* A snapshot, and the log flushed up to it. If it has no new rows, only the snapshot moves. */
inline begin_round(r) {
    at[r] = position(before(at[r]), present, last(at[r]));
#ifndef NO_FLUSH
    if
    :: unflushed -> flush()
    :: else
    fi;
#endif
    next_row(r);
    if
    :: next == TXS -> finish_round(r)
    :: else
    fi
}

active [RELAYS] proctype relay() {
    byte next, i, j;

begin:
    {
        skip;
end_standby:
        d_step {
            /* They are alike: 0 comes first. A holder that is silent has its session terminated. */
            (lease == NOBODY && (RELAY == 0 || owner[0] != NOBODY || TROUBLES > troubles)) ||
            (lease == 1 - RELAY && troubles > 0) ->
            if
            :: lease != NOBODY -> troubles--
            :: else
            fi;
            lease = RELAY }
        take_over(RELAY);
        d_step { cut[RELAY] = false; claim(NO_LOSS, bit(next_xid) > now_of(at[RELAY])) } /* position_check_database refuses */

end_quiet:
        do
        :: cut[RELAY] || lease != RELAY -> break

        :: d_step { !cut[RELAY] && !in_round(at[RELAY]) && !passed[RELAY] && present != now_of(at[RELAY]) ->
               begin_round(RELAY); next = 0 }

        :: d_step { !cut[RELAY] && in_round(at[RELAY]) && owner[tid(RELAY)] == RELAY -> /* a page */
               next_row(RELAY);
               if
               :: next < TXS -> take_row(RELAY)
               :: else -> finish_round(RELAY)
               fi;
               next = 0 }
        :: in_round(at[RELAY]) && owner[tid(RELAY)] != RELAY -> break /* fenced */

        :: d_step { passed[RELAY] && troubles > 0 && owner[tid(RELAY)] == RELAY -> /* a delivery fails: abort, and again */
               troubles--; abort_transaction(tid(RELAY)); at[RELAY] = committed[RELAY]; passed[RELAY] = false }

        :: atomic { passed[RELAY] -> /* commit: at the end of the round or, when the transaction is old, within it */
               if
               :: owner[tid(RELAY)] == RELAY && rows[tid(RELAY)]
               :: else -> break
               fi;
#if defined(POSITION_AT_DELIVERY)
               stored = at[RELAY];
#elif !defined(POSITION_OUTSIDE)
               record[tid(RELAY)] = at[RELAY];
#endif
#ifdef CLEANUP_AT_DELIVERY
               committed[RELAY] = at[RELAY];
#endif
           }
           request[RELAY] = ASKED; /* before it: all delivery reports are in, a relay that dies here leaves an open transaction */
           if
           :: d_step { request[RELAY] == DONE ->
#ifdef POSITION_OUTSIDE
                  skip
#else
                  committed[RELAY] = at[RELAY]; passed[RELAY] = false; request[RELAY] = NONE; next_id(RELAY)
#endif
              }
           :: request[RELAY] == REFUSED -> break
           :: d_step { request[RELAY] != REFUSED && troubles > 0 -> troubles--; /* no answer: the outcome is unknown */
#if defined(UNKNOWN_IS_FAILURE)
                  at[RELAY] = committed[RELAY]; passed[RELAY] = false
#elif defined(UNKNOWN_IS_SUCCESS)
                  committed[RELAY] = at[RELAY]; passed[RELAY] = false
#endif
              }
#if !defined(UNKNOWN_IS_FAILURE) && !defined(UNKNOWN_IS_SUCCESS)
              break /* the stored position will tell */
#endif
           fi;
#ifdef POSITION_OUTSIDE
           d_step { stored = at[RELAY]; committed[RELAY] = at[RELAY]; passed[RELAY] = false; request[RELAY] = NONE; next_id(RELAY) }
#endif
        od;
        skip
    } unless { dying[RELAY] };
    skip;
    d_step { /* the session is over: what the process knew is forgotten */
        at[RELAY] = 0; committed[RELAY] = 0; passed[RELAY] = false; cut[RELAY] = false; dying[RELAY] = false; next = 0; i = 0; j = 0;
        if
        :: lease == RELAY -> lease = NOBODY
        :: else
        fi }
    goto begin
}

/* Deletes rows of transactions that `before` of a committed position sees. */
#ifdef CLEANUP_BY_XMAX
#define may_delete(r, t) (readable(t) && bit(xid[t]) <= before(committed[r]))
#else
#define may_delete(r, t) (readable(t) && has(before(committed[r]), xid[t]))
#endif
#define may_clean(t) (may_delete(0, t) || may_delete(1, t))

active proctype cleaner() {
end:
    do
    :: d_step { may_clean(0) -> deleted = deleted | bit(0) }
    :: d_step { may_clean(1) -> deleted = deleted | bit(1) }
#if TXS > 2
    :: d_step { may_clean(2) -> deleted = deleted | bit(2) }
#endif
    od
}

/* ---- What goes wrong ---- */

active proctype fate() {
    byte i;

    do
    :: d_step { troubles > 0 && !dying[0] -> troubles--; dying[0] = true }
#if RELAYS > 1
    :: d_step { troubles > 0 && !dying[1] -> troubles--; dying[1] = true }
#endif
    :: d_step { troubles > 0 -> troubles--; postgres_dies() }
    :: d_step { troubles > 0 && rows[0] -> troubles--; abort_transaction(0); owner[0] = NOBODY } /* transaction.timeout.ms */
    :: d_step { troubles > 0 && rows[1] -> troubles--; abort_transaction(1); owner[1] = NOBODY }
#if OTHERS > 0
    :: d_step { others > 0 -> others--; other_open = true; stored_before_other = stored }
    :: d_step { other_open -> other_open = false; stored_before_other = 0 }
    :: !other_open -> break
#else
    :: break
#endif
    od
}

/* When nothing more can happen, all that was committed is published. */
active proctype audit() {
    byte i;

end:
    timeout ->
    for (i : 0 .. TXS - 1) {
        claim(NO_LOSS, tx[i] != COMMITTED || has(published, i))
    }
}
