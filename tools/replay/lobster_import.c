/* lobster-import SYMBOL MESSAGES [ORDERBOOK LEVELS] >STEPS -- LOBSTER's message file (Time, Type, Order ID, Size,
 * Price, Direction) as steps for engine-replay; with the order book file (LEVELS times ask price, ask size, bid price,
 * bid size a line) also what the book must show after each message. Ticks are LOBSTER's units of 0.0001 dollars, lots
 * are shares.
 *
 * A recording begins in the middle of a day: with an order book file, what rests before its first message is taken from
 * that file's first line, one order a level with an id of our own, and messages of orders from before then take from
 * it. Exit 1: a line is not understood. */
#include "feed.h"

#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_LEN = 1 << 16, LEVELS_MAX = 200, NO_PRICE = 1000000000 };

enum lobster_type { NEW = 1, REDUCED, DELETED, EXECUTED, EXECUTED_HIDDEN, CROSS, HALT };

struct message {
    int64_t at_us;
    enum lobster_type type;
    uint64_t order_id;
    int64_t lots, price_ticks;
    uint8_t side;
};

struct import {
    struct feed *feed;
    unsigned levels, line;
    uint64_t unknown, hidden, revealed;
    bool begun;
};

/* "34200.017459617": seconds and up to nine decimals. */
static bool parse_time(char **at, int64_t *ret_us)
{
    char *end;
    int64_t seconds = strtoll(*at, &end, 10), micros = 0, unit = 100000;
    if (end == *at)
        return false;
    if (*end == '.')
        for (end++; *end >= '0' && *end <= '9'; end++, unit /= 10)
            micros += (*end - '0') * unit;
    *at = end;
    *ret_us = seconds * 1000000 + micros;
    return true;
}

static bool parse_number(char **at, int64_t *ret_value)
{
    char *end;
    if (**at != ',')
        return false;
    *ret_value = strtoll(*at + 1, &end, 10);
    bool fine = end != *at + 1;
    *at = end;
    return fine;
}

static bool parse_message(char *line, struct message *message)
{
    int64_t type, order_id, direction;
    char *at = line;
    if (!parse_time(&at, &message->at_us) || !parse_number(&at, &type) || !parse_number(&at, &order_id) ||
        !parse_number(&at, &message->lots) || !parse_number(&at, &message->price_ticks) ||
        !parse_number(&at, &direction))
        return false;
    if (type < NEW || type > HALT || order_id < 0 || (direction != 1 && direction != -1))
        return false;
    message->type = (enum lobster_type)type;
    message->order_id = (uint64_t)order_id;
    message->side = direction == 1 ? ENGINE_BUY : ENGINE_SELL;
    return true;
}

/* What rested before the recording: one order a level, named by its price. */
static uint64_t early_id(uint8_t side, int64_t price_ticks)
{
    return (uint64_t)1 << 62 | (uint64_t)price_ticks << 1 | (side == ENGINE_BUY);
}

/* The order that a message means: its own, or the early one at its price. */
static uint64_t meant_order(struct import *import, const struct message *message)
{
    uint64_t early = early_id(message->side, message->price_ticks);
    uint8_t side;
    int64_t price_ticks;
    if (feed_look(import->feed, message->order_id, &side, &price_ticks) ||
        !feed_look(import->feed, early, &side, &price_ticks))
        return message->order_id;
    return early;
}

static void take(struct import *import, const struct message *message)
{
    uint64_t order_id = message->order_id;
    bool fine = true;
    switch (message->type) {
    case NEW:
        fine = feed_add(import->feed, message->at_us, order_id, message->side, message->price_ticks, message->lots);
        break;
    case REDUCED:
    case DELETED: /* of an early order the level's rest stays */
        fine = feed_reduce(import->feed, message->at_us, meant_order(import, message), message->lots);
        break;
    case EXECUTED:
        fine = feed_execute(import->feed, message->at_us, meant_order(import, message), message->lots);
        break;
    case EXECUTED_HIDDEN:
    case CROSS:
    case HALT: /* nothing that shows has changed */
        import->hidden++;
        break;
    }
    import->unknown += !fine;
}

/* A line of the order book file. Before the first message it says what is there, afterwards what must be; but a deepest
 * level that nothing is known of came into sight because one nearer to the touch has gone. */
static bool take_book(struct import *import, char *line, int64_t at_us)
{
    char *at = line;
    for (unsigned rank = 1; rank <= import->levels; rank++)
        for (int bid = 0; bid <= 1; bid++) {
            uint8_t side = bid ? ENGINE_BUY : ENGINE_SELL;
            char *end;
            int64_t price_ticks = strtoll(at, &end, 10), lots;
            if (end == at || !parse_number(&end, &lots))
                return false;
            at = *end == ',' ? end + 1 : end;
            bool absent = price_ticks > NO_PRICE || price_ticks < 0 || lots == 0;
            if (import->begun && !absent && feed_lots_at(import->feed, side, price_ticks) == 0 &&
                rank == import->levels) {
                import->revealed += feed_add(import->feed, at_us, early_id(side, price_ticks), side, price_ticks, lots);
            }
            if (import->begun)
                feed_expect_rank(import->feed, side, rank, absent ? 0 : price_ticks, absent ? 0 : lots);
            else if (!absent)
                (void)feed_add(import->feed, at_us, early_id(side, price_ticks), side, price_ticks, lots);
        }
    return true;
}

/* The first line of the book is after the first message: what it did is taken back to know what was there before. */
static bool undo_first(char *line, const struct message *first, unsigned levels)
{
    char copy[LINE_MAX_LEN], *at = copy;
    size_t used = 0;
    strcpy(copy, line);
    for (unsigned i = 0; i < 2 * levels; i++) {
        char *end;
        int64_t price_ticks = strtoll(at, &end, 10), lots;
        if (end == at || !parse_number(&end, &lots))
            return false;
        at = *end == ',' ? end + 1 : end;
        bool same = price_ticks == first->price_ticks && (i % 2 == 1) == (first->side == ENGINE_BUY);
        if (same && first->type == NEW)
            lots -= first->lots;
        else if (same && (first->type == REDUCED || first->type == DELETED || first->type == EXECUTED))
            lots += first->lots;
        used += (size_t)snprintf(line + used, LINE_MAX_LEN - used, "%ld,%ld,", price_ticks, lots);
    }
    return true;
}

static bool import_files(struct import *import, FILE *messages, FILE *books)
{
    static char line[LINE_MAX_LEN], book[LINE_MAX_LEN], before[LINE_MAX_LEN];
    struct message message;
    while (fgets(line, sizeof line, messages)) {
        import->line++;
        if (!parse_message(line, &message) || (books && !fgets(book, sizeof book, books)))
            return false;
        if (books && !import->begun) {
            strcpy(before, book);
            if (!undo_first(before, &message, import->levels) || !take_book(import, before, message.at_us))
                return false;
        }
        import->begun = true;
        take(import, &message);
        if (books && !take_book(import, book, message.at_us))
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct import import = { .levels = argc == 5 ? (unsigned)strtoul(argv[4], NULL, 10) : 0 };
    if ((argc != 3 && argc != 5) || (argc == 5 && (import.levels == 0 || import.levels > LEVELS_MAX))) {
        fprintf(stderr, "usage: lobster-import SYMBOL MESSAGES [ORDERBOOK LEVELS] >STEPS\n");
        return 2;
    }
    FILE *messages = fopen(argv[2], "r"), *books = argc == 5 ? fopen(argv[3], "r") : NULL;
    if (!messages || (argc == 5 && !books)) {
        fprintf(stderr, "%s: cannot be read\n", messages ? argv[3] : argv[2]);
        return 1;
    }
    import.feed = feed_new(stdout, argv[1]);
    bool fine = import_files(&import, messages, books);
    if (!fine)
        fprintf(stderr, "%s:%u: not understood, here or in the order book's line\n", argv[2], import.line);
    feed_report(import.feed, argv[2]);
    fprintf(stderr, "%lu messages of orders that are not known, %lu that do not show, %lu levels came into sight\n",
        import.unknown, import.hidden, import.revealed);
    feed_free(import.feed);
    fclose(messages);
    if (books)
        fclose(books);
    return fine && fflush(stdout) == 0 ? 0 : 1;
}
