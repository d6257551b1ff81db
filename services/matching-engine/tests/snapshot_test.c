/* Snapshots: the same state back, and nothing but that whatever happens to the file. */
#include "snapshot.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOTES_MAX = 8, OPTIONS_ORDERS = 1000 };

static const struct engine_options options = { .orders_max = OPTIONS_ORDERS, .markets_max = 4 };
static const struct snapshot_identity identity = {
    .directory = "/nowhere", .topic = "t-orders.accepted.v1", .cluster_id = "cluster", .partition = 3
};
static char notes[NOTES_MAX][512];
static size_t notes_count;

static void keep_note(const char *line)
{
    cr_assert(notes_count < NOTES_MAX);
    snprintf(notes[notes_count++], sizeof notes[0], "%s", line);
}

static void cancel(struct engine *engine, uint64_t order_id, uint64_t user_id)
{
    struct engine_command command = { .kind = ENGINE_CANCEL, .order_id = order_id, .user_id = user_id };

    cr_assert(engine_apply(engine, &command) == ENGINE_OK);
}

static struct engine *engine_with_orders(uint64_t orders)
{
    struct engine *engine = engine_new(&options);
    struct engine_market_config config = { "BTC-USD", 1, 2, 1, 100, 1, 1000, 2000, ENGINE_OPEN };
    uint16_t btc, eth;

    cr_assert(engine_configure(engine, &config, &btc) == ENGINE_OK);
    strcpy(config.symbol, "ETH-USD");
    config.market_id = 2;
    config.base_asset_id = 3;
    config.status = ENGINE_HALTED;
    cr_assert(engine_configure(engine, &config, &eth) == ENGINE_OK);
    for (uint64_t i = 1; i <= orders; i++) {
        struct engine_command order = { .order_id = i * 7,
            .user_id = 1 + i % 5,
            .price_ticks = i % 2 ? 1000 - (int64_t)(i % 90) : 990 + (int64_t)(i % 1000) * 1000,
            .quantity_lots = (int64_t)(i % 13) + 1,
            .at_us = (int64_t)i * 10,
            .kind = ENGINE_PLACE,
            .market = btc,
            .side = i % 2 ? ENGINE_BUY : ENGINE_SELL,
            .type = ENGINE_LIMIT,
            .time_in_force = ENGINE_GTC };
        order.hold_minor =
            order.side == ENGINE_BUY ? order.price_ticks * order.quantity_lots : order.quantity_lots * 100;
        cr_assert(engine_apply(engine, &order) == ENGINE_OK);
    }
    engine_flush(engine);
    return engine;
}

static void read_data(const char *name, char **ret_data, size_t *ret_size)
{
    CLEANUP(xfree) char *path = xasprintf("%s/%s", DATA_DIRECTORY, name);
    int fd = open(path, O_RDONLY);
    struct stat status;

    cr_assert(fd >= 0 && fstat(fd, &status) == 0, "%s", path);
    *ret_size = (size_t)status.st_size;
    *ret_data = xmalloc(*ret_size);
    cr_assert(read(fd, *ret_data, *ret_size) == status.st_size);
    close(fd);
}

Test(snapshot, gives_back_the_same_state_and_the_same_bytes)
{
    CLEANUP(engine_free) struct engine *before = engine_with_orders(500);
    CLEANUP(engine_free) struct engine *after = engine_new(&options);
    CLEANUP(xfree) char *data = NULL;
    CLEANUP(xfree) char *again = NULL;
    size_t size, again_size;
    int64_t offset;
    struct error e = { 0 };

    snapshot_encode(&identity, before, 77, &data, &size);
    cr_assert(snapshot_decode(&identity, (struct bytes){ data, size }, after, &offset, &e), "%s", e.message);
    cr_assert(offset == 77);
    engine_check(after);
    cr_assert(engine_orders_count(after) == engine_orders_count(before) && engine_orders_count(after) > 50);
    cr_assert(engine_market_get(after, 0)->trade_id == engine_market_get(before, 0)->trade_id);
    snapshot_encode(&identity, after, 77, &again, &again_size);
    cr_assert(size == again_size && memcmp(data, again, size) == 0);
}

/* data/version-1.snapshot: written by the code of that version, with these 200 orders. */
Test(snapshot, of_an_old_format_is_read)
{
    CLEANUP(engine_free) struct engine *loaded = engine_new(&options);
    CLEANUP(engine_free) struct engine *same = engine_with_orders(200);
    CLEANUP(xfree) char *old = NULL;
    CLEANUP(xfree) char *new = NULL;
    CLEANUP(xfree) char *expected = NULL;
    size_t old_size, new_size, expected_size;
    int64_t offset;
    struct error e = { 0 };

    read_data("version-1.snapshot", &old, &old_size);
    cr_assert(snapshot_decode(&identity, (struct bytes){ old, old_size }, loaded, &offset, &e), "%s", e.message);
    cr_assert(offset == 77 && engine_orders_count(loaded) == 200);
    engine_check(loaded);
    snapshot_encode(&identity, loaded, 77, &new, &new_size);
    snapshot_encode(&identity, same, 77, &expected, &expected_size);
    cr_assert(new_size == expected_size && memcmp(new, expected, new_size) == 0);
}

Test(snapshot, of_a_later_format_is_refused)
{
    CLEANUP(engine_free) struct engine *engine = engine_with_orders(4);
    CLEANUP(engine_free) struct engine *other = engine_new(&options);
    CLEANUP(xfree) char *data = NULL;
    size_t size;
    int64_t offset;
    struct error e = { 0 };

    snapshot_encode(&identity, engine, 77, &data, &size);
    data[8] = (char)(data[8] + 1);
    cr_assert(!snapshot_decode(&identity, (struct bytes){ data, size }, other, &offset, &e));
    cr_assert(e.kind == ERROR_INVALID && strstr(e.message, "version"), "%s", e.message);
}

Test(snapshot, is_refused_when_any_bit_is_wrong_or_any_byte_missing)
{
    CLEANUP(engine_free) struct engine *engine = engine_with_orders(40);
    CLEANUP(xfree) char *data = NULL;
    size_t size;
    int64_t offset;
    struct error e = { 0 };

    snapshot_encode(&identity, engine, 77, &data, &size);
    for (size_t i = 0; i < size; i++) {
        CLEANUP(engine_free) struct engine *other = engine_new(&options);

        data[i] = (char)(data[i] ^ 1 << i % 8);
        cr_assert(!snapshot_decode(&identity, (struct bytes){ data, size }, other, &offset, &e), "byte %zu", i);
        cr_assert(e.kind == ERROR_INVALID);
        data[i] = (char)(data[i] ^ 1 << i % 8);
    }
    for (size_t len = 0; len < size; len += 13) {
        CLEANUP(engine_free) struct engine *other = engine_new(&options);

        cr_assert(!snapshot_decode(&identity, (struct bytes){ data, len }, other, &offset, &e), "%zu bytes", len);
    }
}

Test(snapshot, is_refused_when_it_is_of_another_topic_partition_or_cluster)
{
    CLEANUP(engine_free) struct engine *engine = engine_with_orders(4);
    CLEANUP(xfree) char *data = NULL;
    struct snapshot_identity others[] = { identity, identity, identity };
    size_t size;
    int64_t offset;
    struct error e = { 0 };

    others[0].topic = "other";
    others[1].partition = 4;
    others[2].cluster_id = "another";
    snapshot_encode(&identity, engine, 77, &data, &size);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        CLEANUP(engine_free) struct engine *other = engine_new(&options);

        cr_assert(!snapshot_decode(&others[i], (struct bytes){ data, size }, other, &offset, &e));
        cr_assert(e.kind == ERROR_INVALID, "case %zu", i);
    }
}

Test(snapshot, that_does_not_fit_the_limits_ends_the_start_instead_of_losing_orders)
{
    CLEANUP(engine_free) struct engine *engine = engine_with_orders(400);
    CLEANUP(engine_free)
    struct engine *small = engine_new(&(struct engine_options){ .orders_max = 10, .markets_max = 4 });
    CLEANUP(xfree) char *data = NULL;
    size_t size;
    int64_t offset;
    struct error e = { 0 };

    snapshot_encode(&identity, engine, 77, &data, &size);
    cr_assert(!snapshot_decode(&identity, (struct bytes){ data, size }, small, &offset, &e));
    cr_assert(e.kind == ERROR_FATAL);
}

/* ---- Files ---- */

static struct snapshot_identity in_new_directory(void)
{
    static char directory[64];
    struct snapshot_identity here = identity;

    strcpy(directory, "/tmp/engine-snapshot-XXXXXX");
    cr_assert(mkdtemp(directory));
    here.directory = directory;
    return here;
}

static void remove_directory(const struct snapshot_identity *here)
{
    char command[128];

    snprintf(command, sizeof command, "rm -r '%s'", here->directory);
    cr_assert(system(command) == 0);
}

static void write_three(const struct snapshot_identity *here)
{
    struct snapshot_result result;
    struct error e = { 0 };

    for (int64_t offset = 100; offset <= 300; offset += 100) {
        CLEANUP(engine_free) struct engine *engine = engine_with_orders((uint64_t)offset);

        cr_assert(snapshot_write(here, engine, offset, &result, &e), "%s", e.message);
        cr_assert(result.next_offset == offset && result.size > 1000 && result.pause_us <= result.took_us);
    }
}

static void damage(const struct snapshot_identity *here, int64_t offset)
{
    char path[256], byte;

    snprintf(path, sizeof path, "%s/%s-3-%020ld.snapshot", here->directory, here->topic, offset);
    int fd = open(path, O_RDWR);
    cr_assert(fd >= 0 && pread(fd, &byte, 1, 200) == 1);
    byte = (char)(byte + 1);
    cr_assert(pwrite(fd, &byte, 1, 200) == 1);
    close(fd);
}

static int64_t load(const struct snapshot_identity *here, int64_t committed_offset)
{
    CLEANUP(engine_free) struct engine *engine = NULL;
    struct error e = { 0 };
    int64_t offset;

    notes_count = 0;
    cr_assert(snapshot_load(here, committed_offset, &options, keep_note, &engine, &offset, &e), "%s", e.message);
    engine_check(engine);
    cr_assert((offset > 0) == (engine_market_count(engine) == 2), "an empty engine starts at 0");
    return offset;
}

Test(snapshot, keeps_the_last_two_and_starts_from_the_newest)
{
    struct snapshot_identity here = in_new_directory();
    char path[256];

    write_three(&here);
    snprintf(path, sizeof path, "%s/%s-3-%020d.snapshot", here.directory, here.topic, 100);
    cr_assert(access(path, F_OK) != 0, "the oldest is removed");
    cr_assert(load(&here, 1000) == 300);
    cr_assert(notes_count == 0);
    remove_directory(&here);
}

Test(snapshot, falls_back_to_the_previous_one_when_damaged_and_says_so)
{
    struct snapshot_identity here = in_new_directory();

    write_three(&here);
    damage(&here, 300);
    cr_assert(load(&here, 1000) == 200);
    cr_assert(notes_count == 1 && strstr(notes[0], "checksum"), "%s", notes[0]);
    damage(&here, 200);
    cr_assert(load(&here, 1000) == 0);
    cr_assert(notes_count == 1, "the first one was set aside");
    remove_directory(&here);
}

Test(snapshot, is_not_used_when_it_is_past_the_committed_offset)
{
    struct snapshot_identity here = in_new_directory();

    write_three(&here);
    cr_assert(load(&here, 299) == 200);
    cr_assert(notes_count == 0, "the owner may be further");
    cr_assert(load(&here, 1000) == 300);
    cr_assert(load(&here, 0) == 0);
    remove_directory(&here);
}

Test(snapshot, is_set_aside_by_the_owner_of_a_log_that_was_made_anew)
{
    struct snapshot_identity here = in_new_directory();
    struct error e = { 0 };

    write_three(&here);
    notes_count = 0;
    cr_assert(snapshot_refuse_newer(&here, 299, keep_note, &e), "%s", e.message);
    cr_assert(notes_count == 1 && strstr(notes[0], "past the committed offset"), "%s", notes[0]);
    cr_assert(load(&here, 1000) == 200);
    remove_directory(&here);
}

static size_t files_in(const struct snapshot_identity *here)
{
    size_t count = 0;
    DIR *dir = opendir(here->directory);

    cr_assert(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

Test(snapshot, of_a_killed_writer_leaves_nothing_behind_once_the_next_is_written)
{
    struct snapshot_identity here = in_new_directory();
    CLEANUP(engine_free) struct engine *engine = engine_with_orders(300);
    struct snapshot_result result;
    struct error e = { 0 };
    char path[256];

    cr_assert(load(&here, 0) == 0);
    snprintf(path, sizeof path, "%s/%s-3-%020d.snapshot.999.tmp", here.directory, here.topic, 50);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    cr_assert(fd >= 0 && write(fd, "half", 4) == 4 && close(fd) == 0);
    cr_assert(load(&here, 1000) == 0 && notes_count == 0);
    cr_assert(snapshot_write(&here, engine, 100, &result, &e), "%s", e.message);
    cr_assert(files_in(&here) == 1);
    cr_assert(load(&here, 1000) == 100);
    remove_directory(&here);
}

Test(snapshot, shows_the_state_at_its_offset_though_matching_goes_on_meanwhile)
{
    struct snapshot_identity here = in_new_directory();
    CLEANUP(engine_free) struct engine *engine = engine_with_orders(500);
    CLEANUP(engine_free) struct engine *loaded = NULL;
    CLEANUP(snapshot_child_free) struct snapshot_child *child = NULL;
    uint32_t orders = engine_orders_count(engine);
    struct error e = { 0 };
    int64_t offset;

    cr_assert(load(&here, 0) == 0);
    cr_assert(snapshot_begin(&here, engine, 100, &child, &e), "%s", e.message);
    for (uint64_t i = 1; i <= 500; i++)
        cancel(engine, i * 7, 1 + i % 5);
    cr_assert(engine_orders_count(engine) == 0);
    cr_assert(snapshot_look(child, true, &e) == SNAPSHOT_WRITTEN, "%s", e.message);
    cr_assert(snapshot_load(&here, 1000, &options, keep_note, &loaded, &offset, &e), "%s", e.message);
    cr_assert(offset == 100 && engine_orders_count(loaded) == orders);
    remove_directory(&here);
}

Test(snapshot, that_cannot_be_written_says_why)
{
    struct snapshot_identity here = in_new_directory();
    CLEANUP(engine_free) struct engine *engine = engine_with_orders(10);
    struct snapshot_result result;
    struct error e = { 0 };
    char path[256];

    /* A directory stands where the file goes. */
    snprintf(path, sizeof path, "%s/%s-3-%020d.snapshot", here.directory, here.topic, 100);
    cr_assert(mkdir(path, 0700) == 0);
    cr_assert(!snapshot_write(&here, engine, 100, &result, &e));
    cr_assert(e.kind == ERROR_TRANSIENT && strstr(e.message, "directory"), "%s", e.message);
    remove_directory(&here);
}

Test(snapshot, makes_its_directory)
{
    struct snapshot_identity here = in_new_directory();

    remove_directory(&here);
    cr_assert(load(&here, 0) == 0);
    remove_directory(&here);
}
