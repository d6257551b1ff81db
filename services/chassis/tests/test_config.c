/* config: the settings table. */
#include "../config.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

struct settings {
    char *name, *secret;
    int64_t count, port, mode;
    bool on;
};

static const struct config_item items[] = {
    { "T_NAME", CONFIG_STRING, offsetof(struct settings, name), "anna", "a name" },
    { "T_SECRET", CONFIG_SECRET, offsetof(struct settings, secret), NULL, "a secret" },
    { "T_COUNT", CONFIG_INT, offsetof(struct settings, count), "5", "a count", .min = 1, .max = 10 },
    { "T_PORT", CONFIG_PORT, offsetof(struct settings, port), "8080", "a port" },
    { "T_MODE", CONFIG_CHOICE, offsetof(struct settings, mode), "off", "a mode", .choices = "off|sandbox|live" },
    { "T_ON", CONFIG_BOOL, offsetof(struct settings, on), "false", "a switch" },
    { 0 },
};

static void clear_environment(void)
{
    for (const struct config_item *item = items; item->name; item++)
        (void)unsetenv(item->name);
    (void)unsetenv("T_SECRET_FILE");
}

Test(config, defaults_fill_what_the_environment_does_not_say)
{
    clear_environment();
    (void)setenv("T_SECRET", "s3cret", 1);
    struct settings settings;
    struct error e = { 0 };
    cr_assert(config_load(items, &settings, &e), "%s", e.message);
    cr_expect_str_eq(settings.name, "anna");
    cr_expect_str_eq(settings.secret, "s3cret");
    cr_expect_eq(settings.count, 5);
    cr_expect_eq(settings.port, 8080);
    cr_expect_eq(settings.mode, 0);
    cr_expect_not(settings.on);
    config_release(items, &settings);
}

Test(config, the_environment_wins_over_defaults)
{
    clear_environment();
    (void)setenv("T_SECRET", "x", 1);
    (void)setenv("T_NAME", "", 1);
    (void)setenv("T_COUNT", "10", 1);
    (void)setenv("T_MODE", "live", 1);
    (void)setenv("T_ON", "1", 1);
    struct settings settings;
    struct error e = { 0 };
    cr_assert(config_load(items, &settings, &e), "%s", e.message);
    cr_expect_str_eq(settings.name, "");
    cr_expect_eq(settings.count, 10);
    cr_expect_eq(settings.mode, 2);
    cr_expect(settings.on);
    config_release(items, &settings);
}

Test(config, a_bad_value_is_refused_by_its_name)
{
    static const struct {
        const char *name, *value;
    } cases[] = {
        { "T_COUNT", "0" },
        { "T_COUNT", "11" },
        { "T_COUNT", "" },
        { "T_COUNT", "5x" },
        { "T_COUNT", " 5" },
        { "T_COUNT", "+5" },
        { "T_COUNT", "99999999999999999999" },
        { "T_PORT", "0" },
        { "T_PORT", "65536" },
        { "T_PORT", "http" },
        { "T_MODE", "sand" },
        { "T_MODE", "sandbox|live" },
        { "T_MODE", "" },
        { "T_ON", "yes" },
        { "T_ON", "TRUE" },
        { "T_SECRET", "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        clear_environment();
        (void)setenv("T_SECRET", "x", 1);
        (void)setenv(cases[i].name, cases[i].value, 1);
        struct settings settings;
        struct error e = { 0 };
        cr_assert_not(config_load(items, &settings, &e), "%s=%s was taken", cases[i].name, cases[i].value);
        cr_expect_eq(e.kind, ERROR_INVALID);
        cr_expect_str_eq(e.field, cases[i].name);
        cr_expect_null(settings.name, "a failed load keeps nothing");
    }
}

Test(config, a_missing_setting_without_default_is_named)
{
    clear_environment();
    struct settings settings;
    struct error e = { 0 };
    cr_assert_not(config_load(items, &settings, &e));
    cr_expect_str_eq(e.field, "T_SECRET");
}

static void write_file(const char *path, const char *text, size_t len)
{
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text, 1, len, file), len);
    cr_assert_eq(fclose(file), 0);
}

Test(config, a_file_can_hold_the_value)
{
    char path[] = "/tmp/test_config.XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    (void)close(fd);
    write_file(path, "from the file\r\n", 15);
    clear_environment();
    (void)setenv("T_SECRET_FILE", path, 1);
    struct settings settings;
    struct error e = { 0 };
    cr_assert(config_load(items, &settings, &e), "%s", e.message);
    cr_expect_str_eq(settings.secret, "from the file");
    config_release(items, &settings);

    (void)setenv("T_SECRET", "both", 1);
    cr_expect_not(config_load(items, &settings, &e), "a setting and its file together are ambiguous");
    (void)unsetenv("T_SECRET");
    write_file(path, "a\0b", 3);
    cr_expect_not(config_load(items, &settings, &e), "a zero byte would cut the value");
    CLEANUP(xfree) char *big = xmalloc(70000);
    memset(big, 'a', 70000);
    write_file(path, big, 70000);
    cr_expect_not(config_load(items, &settings, &e), "a file without end would fill the memory");
    (void)unlink(path);
    error_clear(&e);
    cr_expect_not(config_load(items, &settings, &e), "the file is gone");
    cr_expect_str_eq(e.field, "T_SECRET");
}

Test(config, help_shows_every_setting_and_no_secret)
{
    static const struct config_item secret[] = {
        { "T_KEY", CONFIG_SECRET, 0, "hunter2", "a key" },
        { "T_PORT", CONFIG_PORT, 0, "8080", "a port" },
        { 0 },
    };
    char text[1024] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    config_print(secret, out);
    (void)fclose(out);
    cr_expect_not_null(strstr(text, "T_KEY"));
    cr_expect_not_null(strstr(text, "8080"));
    cr_expect_null(strstr(text, "hunter2"));
}
