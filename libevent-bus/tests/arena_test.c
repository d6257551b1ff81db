#include <event_bus/base.h>

#include <criterion/criterion.h>
#include <string.h>

Test(arena, allocations_are_aligned_apart_and_survive_later_ones)
{
    enum { COUNT = 5000 };
    CLEANUP(arena_free) struct arena *arena = arena_new();
    unsigned char *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = i % 97;
        blocks[i] = arena_alloc(arena, size);
        cr_assert(blocks[i]);
        cr_assert_eq((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], (int)(i % 251), size);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < i % 97; j++)
            cr_assert_eq(blocks[i][j], i % 251);
}

Test(arena, one_block_may_be_larger_than_any_chunk)
{
    CLEANUP(arena_free) struct arena *arena = arena_new();
    char *before = arena_strdup(arena, "before");
    char *big = arena_alloc(arena, 20 << 20);
    memset(big, 'x', 20 << 20);
    cr_assert_str_eq(before, "before");
    arena_clear(arena);
    cr_assert_str_eq(arena_strdup(arena, "after"), "after");
}

Test(arena, the_second_batch_of_the_same_size_is_one_chunk)
{
    CLEANUP(arena_free) struct arena *arena = arena_new();
    for (int i = 0; i < 1000; i++)
        arena_alloc(arena, 1000);
    arena_clear(arena);
    char *first = arena_alloc(arena, 1008);
    for (int i = 1; i < 1000; i++)
        cr_assert_eq((char *)arena_alloc(arena, 1000), first + (ptrdiff_t)i * 1008);
    arena_clear(arena);
    cr_assert_eq((char *)arena_alloc(arena, 1), first, "kept memory is used again");
}

Test(arena, text_is_copied_and_formatted)
{
    CLEANUP(arena_free) struct arena *arena = arena_new();
    cr_assert_null(arena_strdup(arena, NULL));
    char source[] = "abc";
    char *copy = arena_strdup(arena, source);
    source[0] = 'x';
    cr_assert_str_eq(copy, "abc");
    cr_assert_str_eq(arena_printf(arena, "%s-%d", copy, 7), "abc-7");
    char *text = arena_printf(arena, "%0100000d", 1);
    cr_assert_eq(strlen(text), 100000);
}

Test(arena, free_of_null_is_fine)
{
    arena_free(NULL);
}
