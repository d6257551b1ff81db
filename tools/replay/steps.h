/* steps.h -- commands of the matching engine as text, one a line: what engine-replay reads, what the importers write,
 * and what a failing random test prints.
 *
 *     market symbol=BTC-USD id=1 base=2 quote=1 lot=1 unit=1 status=open taker_fee=2000
 *     place id=1 user=7 side=buy type=limit tif=gtc price=100 lots=5 at=1
 *     cancel id=1 user=7 at=2
 *     quote user=7 set=1 at=3 orders=2      (followed by as many lines "order …", as for place)
 *     expect level side=buy price=100 lots=5
 *
 * A line is a verb and fields name=value in any order; absent fields are 0; "#" begins a comment. README.md has the
 * table of verbs and fields. `hold` may be left out: then it is what price and quantity ask for. `market` in a command
 * is the number of the market, in order of the market lines, from 0. */
#pragma once

#include "engine_core.h"

#include <event_bus/base.h>
#include <stdio.h>

enum { STEP_LINE_MAX = 1024, STEP_MARKETS_MAX = 16 };

enum step_kind { STEP_MARKET, STEP_COMMAND, STEP_EXPECT };

enum expect_kind {
    EXPECT_FILL,  /* the next fill of the last command: maker, price, lots */
    EXPECT_LEVEL, /* side, price, lots: all that shows there */
    EXPECT_RANK,  /* side, rank (1: the touch), price, lots */
    EXPECT_COUNT, /* how many orders rest and wait */
    EXPECT_QUIET, /* no further fill of the last command */
};

struct expectation {
    enum expect_kind kind;
    uint64_t maker, count;
    int64_t price_ticks, lots;
    uint32_t rank;
    uint16_t market;
    uint8_t side;
};

struct step_order {
    struct engine_command command;
    struct engine_order_more more;
};

struct step {
    enum step_kind kind;
    struct engine_market_config config;
    struct step_order order;
    struct step_order *quotes; /* of a mass quote; owned */
    uint32_t quotes_count;
    uint16_t quote_set;
    bool has_hold;
    struct expectation expectation;
};

void step_release(struct step *step);

/* Writes lines that step_read() understands. */
void step_write(FILE *file, const struct step *step);

struct step_reader {
    FILE *file;
    const char *path; /* for messages */
    unsigned line;
    struct engine_market_config markets[STEP_MARKETS_MAX]; /* for holds that are left out */
    uint16_t markets_count;
};

enum step_read { STEP_READ, STEP_END, STEP_BAD /* said on standard error */ };
enum step_read step_read(struct step_reader *reader, struct step *ret_step);

/* Hands a market or command to the engine. */
enum engine_verdict step_apply(struct engine *engine, const struct step *step);

/* What the ledger would set aside for this order. false: out of range. */
bool step_hold(const struct engine_market_config *config, const struct step_order *order, int64_t *ret_hold_minor);
