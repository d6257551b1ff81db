/* Which route a path and method belong to. */
#include "../router.h"

#include <criterion/criterion.h>

static const struct http_route table[] = {
    { "GET", "/orders" },
    { "POST", "/orders" },
    { "GET", "/orders/open" },
    { "GET", "/orders/:id" },
    { "DELETE", "/orders/:id" },
    { "GET", "/markets/:symbol/book" },
    { "GET", "/a/:b/:c/d/:e" },
    { "GET", "/" },
    { "PUT", "/files/" },
    { 0 },
};

static struct router router;

static void setup(void)
{
    router_add(&router, table);
}

static void teardown(void)
{
    router_release(&router);
}

Test(router, a_path_finds_its_route, .init = setup, .fini = teardown)
{
    const struct {
        const char *method, *path;
        enum router_result result;
        int route; /* in the table */
    } cases[] = {
        { "GET", "/orders", ROUTER_FOUND, 0 },
        { "POST", "/orders", ROUTER_FOUND, 1 },
        { "HEAD", "/orders", ROUTER_FOUND, 0 },
        { "PUT", "/orders", ROUTER_NO_METHOD, 0 },
        { "OPTIONS", "/orders", ROUTER_NO_METHOD, 0 },
        { "GET", "/orders/open", ROUTER_FOUND, 2 },
        { "GET", "/orders/17", ROUTER_FOUND, 3 },
        { "DELETE", "/orders/17", ROUTER_FOUND, 4 },
        { "HEAD", "/files/", ROUTER_NO_METHOD, 0 },
        { "GET", "/orders/", ROUTER_NO_PATH, 0 },
        { "GET", "/orders/17/", ROUTER_NO_PATH, 0 },
        { "GET", "/orders/17/x", ROUTER_NO_PATH, 0 },
        { "GET", "/order", ROUTER_NO_PATH, 0 },
        { "GET", "/ordersx", ROUTER_NO_PATH, 0 },
        { "GET", "/markets/BTC-USD/book", ROUTER_FOUND, 5 },
        { "GET", "/markets//book", ROUTER_NO_PATH, 0 },
        { "GET", "/markets/BTC-USD", ROUTER_NO_PATH, 0 },
        { "GET", "/a/1/2/d/3", ROUTER_FOUND, 6 },
        { "GET", "/", ROUTER_FOUND, 7 },
        { "GET", "", ROUTER_NO_PATH, 0 },
        { "GET", "*", ROUTER_NO_PATH, 0 },
        { "PUT", "/files/", ROUTER_FOUND, 8 },
        { "PUT", "/files", ROUTER_NO_PATH, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct router_match match = { 0 };
        const enum router_result result = router_match(&router, cases[i].method, cases[i].path, &match);
        cr_expect_eq(result, cases[i].result, "%s %s", cases[i].method, cases[i].path);
        if (result == ROUTER_FOUND)
            cr_expect_eq(match.route->spec, &table[cases[i].route], "%s %s", cases[i].method, cases[i].path);
    }
}

Test(router, parameters_are_the_pieces_of_the_path, .init = setup, .fini = teardown)
{
    struct router_match match = { 0 };
    cr_assert_eq(router_match(&router, "GET", "/a/one/two/d/three", &match), ROUTER_FOUND);
    const char *const expected[] = { "one", "two", "three" };
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        cr_assert_eq(match.params[i].len, strlen(expected[i]));
        cr_assert_eq(memcmp(match.params[i].data, expected[i], match.params[i].len), 0);
    }
    cr_assert_null(match.params[3].data);
}

Test(router, allow_names_each_method_once, .init = setup, .fini = teardown)
{
    const struct {
        const char *path, *allow;
    } cases[] = {
        { "/orders", "GET, HEAD, POST, OPTIONS" },
        { "/orders/17", "GET, HEAD, DELETE, OPTIONS" },
        { "/files/", "PUT, OPTIONS" },
        { "/nothing", "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[64];
        router_allow(&router, cases[i].path, text, sizeof text);
        cr_expect_str_eq(text, cases[i].allow);
    }
}
