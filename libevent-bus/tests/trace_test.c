#include <event_bus/trace.h>

#include <criterion/criterion.h>
#include <string.h>

#define ID   "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"

static const struct {
    const char *text, *sent_on; /* NULL: malformed */
} cases[] = {
    { "00-" ID "-" SPAN "-01", "00-" ID "-" SPAN "-01" },
    { "00-" ID "-" SPAN "-00", "00-" ID "-" SPAN "-00" },
    { "00-" ID "-" SPAN "-ff", "00-" ID "-" SPAN "-01" },
    { "00-" ID "-" SPAN "-02", "00-" ID "-" SPAN "-00" },
    { "cc-" ID "-" SPAN "-01", "00-" ID "-" SPAN "-01" },
    { "cc-" ID "-" SPAN "-01-what-the-future-brings", "00-" ID "-" SPAN "-01" },
    { "cc-" ID "-" SPAN "-01.what-the-future-brings", NULL },
    { NULL, NULL },
    { "", NULL },
    { "00", NULL },
    { "00-" ID "-" SPAN, NULL },
    { "00-" ID "-" SPAN "-0", NULL },
    { "00-" ID "-" SPAN "-01-", NULL },
    { "00-" ID "-" SPAN "-01 ", NULL },
    { " 00-" ID "-" SPAN "-01", NULL },
    { "00-" ID "-" SPAN "-0g", NULL },
    { "ff-" ID "-" SPAN "-01", NULL },
    { "0x-" ID "-" SPAN "-01", NULL },
    { "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01", NULL },
    { "00-00000000000000000000000000000000-" SPAN "-01", NULL },
    { "00-" ID "-0000000000000000-01", NULL },
    { "00-4bf92f3577b34da6a3ce929d0e0e473-" SPAN "-011", NULL },
    { "00_" ID "-" SPAN "-01", NULL },
    { "00-" ID "_" SPAN "-01", NULL },
    { "00-" ID "-" SPAN "_01", NULL },
    { "00-4bf92f3577b34da6a3ce929d0e0e473\n-" SPAN "-01", NULL },
};

Test(trace, takes_what_is_well_formed_and_nothing_else)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct trace trace;
        memset(&trace, 'x', sizeof trace);
        cr_assert_eq(trace_parse(cases[i].text, &trace), cases[i].sent_on != NULL, "case %zu: %s", i, cases[i].text);
        cr_assert_str_eq(trace.parent, cases[i].sent_on ? cases[i].sent_on : "", "case %zu: %s", i, cases[i].text);
    }
}

Test(trace, a_new_one_is_well_formed_and_unlike_the_last)
{
    struct trace a, b, parsed;
    trace_new(&a);
    trace_new(&b);
    cr_assert(trace_parse(a.parent, &parsed));
    cr_assert_str_eq(a.parent, parsed.parent);
    cr_assert_str_neq(a.parent, b.parent);
}

Test(trace, a_child_keeps_the_trace_and_has_a_span_of_its_own)
{
    struct trace parent, child, parsed;
    char parent_id[33], child_id[33];
    cr_assert(trace_parse("00-" ID "-" SPAN "-00", &parent));
    trace_child(&parent, &child);
    trace_id(&parent, parent_id);
    trace_id(&child, child_id);
    cr_assert_str_eq(parent_id, ID);
    cr_assert_str_eq(child_id, ID);
    cr_assert(trace_parse(child.parent, &parsed));
    cr_assert_str_neq(parent.parent, child.parent);
    cr_assert_str_eq(child.parent + TRACEPARENT_LEN - 3, "-00", "the sampling decision is inherited");
}

Test(trace, a_child_of_nothing_starts_a_trace)
{
    struct trace none = { "" }, child;
    char id[33];
    trace_id(&none, id);
    cr_assert_str_eq(id, "");
    trace_child(&none, &child);
    cr_assert(trace_parse(child.parent, &none));
}
