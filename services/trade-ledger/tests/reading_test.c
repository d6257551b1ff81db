/* Cursors: what they say is what was put in, and nothing else is one. */
#include "../../chassis/service.h"
#include "reading.h"

#include <criterion/criterion.h>
#include <string.h>

Test(cursor, says_what_was_put_in)
{
    static const int64_t ids[] = { 1, 2, 255, 256, 1234567890123, INT64_MAX };
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        char text[CURSOR_TEXT_MAX];
        int64_t id = 0;
        cursor_format(77, ids[i], text);
        cr_expect(cursor_parse(text, 77, &id) && id == ids[i], "%s", text);
        cr_expect(!cursor_parse(text, 78, &id), "it is of another list");
    }
}

Test(cursor, refuses_what_was_cut_changed_or_invented)
{
    static const char *const inventions[] = { "", "17", "abc", "AAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAA==", "!!!!!!!!!!!!!!!!!!!!!!", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" };
    char text[CURSOR_TEXT_MAX], changed[CURSOR_TEXT_MAX];
    int64_t id = 0;
    for (size_t i = 0; i < ARRAY_LEN(inventions); i++)
        cr_expect(!cursor_parse(inventions[i], 77, &id), "%s", inventions[i]);
    cursor_format(77, 123456, text);
    for (size_t i = 0; i < strlen(text); i++) {
        strcpy(changed, text);
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        cr_expect(!cursor_parse(changed, 77, &id), "%s with %zu changed", text, i);
        strcpy(changed, text);
        changed[i] = '\0';
        cr_expect(!cursor_parse(changed, 77, &id), "%s cut at %zu", text, i);
    }
}

static uint64_t list_of(const char *query, uint64_t user_id)
{
    struct http_request request = { .query = query, .claims.user_id = user_id };
    struct page page;
    struct error e = { 0 };
    cr_assert(page_from_query(&request, "entries", &page, &e), "%s", e.message);
    return page.list;
}

Test(cursor, belongs_to_its_user_and_filters_and_not_to_the_size_of_pages)
{
    uint64_t list = list_of("asset=USD&limit=5", 7);
    cr_expect_eq(list_of("limit=9&asset=USD", 7), list);
    cr_expect_eq(list_of("asset=USD", 7), list);
    cr_expect_neq(list_of("asset=USD", 8), list);
    cr_expect_neq(list_of("asset=BTC", 7), list);
    cr_expect_neq(list_of("", 7), list);
}

Test(query, a_name_is_not_found_inside_another)
{
    cr_expect(query_has("to=1", "to") && query_has("a=1&to=1", "to"));
    cr_expect(
        !query_has("into=1", "to") && !query_has("a=to=1", "to") && !query_has("to", "to") && !query_has("", "to"));
}

/* The set of markets lives with the service, which these tests have not. */
void *service_state(void)
{
    return NULL;
}
