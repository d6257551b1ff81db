/* itch-import SYMBOL FILE >STEPS -- NASDAQ TotalView-ITCH 5.0, as NASDAQ gives it out: each message behind two bytes of
 * length, big endian. One symbol's orders become steps for engine-replay; README.md says how. Ticks are the price's
 * units of 0.0001, lots are shares, ids are ITCH's reference numbers. Exit 1: the file is damaged, or not ITCH 5.0. */
#include "feed.h"

#include <string.h>

enum { MESSAGE_MAX = 64, STOCK_LEN = 8 };

/* Every message of the specification and its length: a file in which one does not fit is not what it seems. */
static const struct {
    char type;
    uint8_t length;
} kinds[] = { { 'S', 12 }, { 'R', 39 }, { 'H', 25 }, { 'Y', 20 }, { 'L', 26 }, { 'V', 35 }, { 'W', 12 }, { 'K', 28 },
    { 'J', 35 }, { 'h', 21 }, { 'A', 36 }, { 'F', 40 }, { 'E', 31 }, { 'C', 36 }, { 'X', 23 }, { 'D', 19 }, { 'U', 35 },
    { 'P', 44 }, { 'Q', 40 }, { 'B', 19 }, { 'I', 50 }, { 'N', 20 }, { 'O', 48 } };

struct import {
    struct feed *feed;
    char stock[STOCK_LEN]; /* padded with spaces, as on the wire */
    uint64_t messages, elsewhere_priced, hidden;
    bool locate_known;
    uint16_t locate; /* the symbol's number for the day */
};

static uint64_t number(const unsigned char *at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | at[i];
    return value;
}

static bool length_is_right(char type, size_t length)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i].type == type)
            return kinds[i].length == length;
    return false;
}

/* Is the message about our stock? Directory and orders name it; the rest goes by its number. */
static bool is_ours(struct import *import, const unsigned char *m)
{
    uint16_t locate = (uint16_t)number(m + 1, 2);
    const unsigned char *stock = m[0] == 'R' ? m + 11 : m[0] == 'A' || m[0] == 'F' ? m + 24 : NULL;
    if (stock && memcmp(stock, import->stock, STOCK_LEN) == 0) {
        import->locate = locate;
        import->locate_known = true;
    }
    return import->locate_known && import->locate == locate;
}

static void take(struct import *import, const unsigned char *m)
{
    int64_t at_us = (int64_t)(number(m + 5, 6) / 1000);
    uint64_t reference = number(m + 11, 8);
    struct feed *feed = import->feed;
    switch (m[0]) {
    case 'A':
    case 'F':
        (void)feed_add(feed, at_us, reference,
            m[19] == 'B'   ? ENGINE_BUY
            : m[19] == 'S' ? ENGINE_SELL
                           : 0,
            (int64_t)number(m + 32, 4), (int64_t)number(m + 20, 4));
        break;
    case 'C': { /* executed at a price of its own: the resting order is hit all the same */
        uint8_t side;
        int64_t price_ticks;
        if (feed_look(feed, reference, &side, &price_ticks) && price_ticks != (int64_t)number(m + 32, 4))
            import->elsewhere_priced++;
        (void)feed_execute(feed, at_us, reference, (int64_t)number(m + 19, 4));
        break;
    }
    case 'E':
        (void)feed_execute(feed, at_us, reference, (int64_t)number(m + 19, 4));
        break;
    case 'X':
        (void)feed_reduce(feed, at_us, reference, (int64_t)number(m + 19, 4));
        break;
    case 'D':
        (void)feed_delete(feed, at_us, reference);
        break;
    case 'U':
        (void)feed_replace(
            feed, at_us, reference, number(m + 19, 8), (int64_t)number(m + 31, 4), (int64_t)number(m + 27, 4));
        break;
    case 'P':
        import->hidden++;
        break;
    default: /* says nothing of the book */
        break;
    }
}

static bool import_file(struct import *import, FILE *file, const char *path)
{
    unsigned char length[2], m[MESSAGE_MAX];
    size_t read;
    while ((read = fread(length, 1, sizeof length, file)) == sizeof length) {
        size_t size = number(length, sizeof length);
        if (size == 0) /* end of session */
            continue;
        if (size > sizeof m || fread(m, 1, size, file) != size || !length_is_right((char)m[0], size)) {
            fprintf(stderr, "%s: message %lu is cut or none of ITCH 5.0\n", path, import->messages + 1);
            return false;
        }
        import->messages++;
        if (is_ours(import, m))
            take(import, m);
    }
    if (read != 0)
        fprintf(stderr, "%s: cut after message %lu\n", path, import->messages);
    return read == 0;
}

int main(int argc, char **argv)
{
    struct import import = { .stock = "        " };
    FILE *file = argc == 3 && strlen(argv[1]) <= STOCK_LEN ? fopen(argv[2], "rb") : NULL;

    if (argc != 3 || strlen(argv[1]) > STOCK_LEN) {
        fprintf(stderr, "usage: itch-import SYMBOL FILE >STEPS\n");
        return 2;
    }
    if (!file) {
        fprintf(stderr, "%s: cannot be read\n", argv[2]);
        return 1;
    }
    memcpy(import.stock, argv[1], strlen(argv[1]));
    import.feed = feed_new(stdout, argv[1]);
    bool fine = import_file(&import, file, argv[2]);
    feed_report(import.feed, argv[2]);
    fprintf(stderr, "%lu messages in all, %lu executions at another price than the order's, %lu of hidden orders\n",
        import.messages, import.elsewhere_priced, import.hidden);
    feed_free(import.feed);
    fclose(file);
    return fine && fflush(stdout) == 0 ? 0 : 1;
}
