#include "workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const char magic[8] = { 'P', 'S', 'W', 'O', 'R', 'K', '0', '1' };

struct head {
    char magic[8];
    uint64_t prefill, operations, seed, order_id_max;
    char name[WORKLOAD_NAME_MAX];
};

_Static_assert(sizeof(struct head) == 64 && sizeof(struct workload_op) == 32, "the file format");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are mapped as they are");

void *workload_memory(size_t count, size_t size)
{
    enum { HUGE_PAGE = 2 << 20 };
    size_t bytes = (count * size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    void *memory = aligned_alloc(HUGE_PAGE, bytes);
    if (memory)
        madvise(memory, bytes, MADV_HUGEPAGE); /* advice: refused, it is merely slower */
    return memory;
}

static bool complain(const char *path, const char *what)
{
    fprintf(stderr, "%s: %s\n", path, what);
    return false;
}

static bool read_from(FILE *file, const char *path, struct workload *workload)
{
    struct head head;

    if (fread(&head, sizeof head, 1, file) != 1 || memcmp(head.magic, magic, sizeof magic) != 0)
        return complain(path, "not a workload file");
    if (head.prefill > WORKLOAD_OPERATIONS_MAX || head.operations > WORKLOAD_OPERATIONS_MAX ||
        head.order_id_max > head.prefill + head.operations || head.name[WORKLOAD_NAME_MAX - 1] != '\0')
        return complain(path, "the head of the workload file makes no sense");

    size_t count = head.prefill + head.operations;

    memcpy(workload->name, head.name, sizeof head.name);
    workload->seed = head.seed;
    workload->prefill = head.prefill;
    workload->operations = head.operations;
    workload->order_id_max = head.order_id_max;
    workload->ops = workload_memory(count + 1, sizeof *workload->ops);
    if (!workload->ops)
        return complain(path, "no memory");
    if (fread(workload->ops, sizeof *workload->ops, count, file) != count)
        return complain(path, "the workload file is cut");
    for (size_t i = 0; i < count; i++)
        if (workload->ops[i].order_id == 0 || workload->ops[i].order_id > head.order_id_max)
            return complain(path, "an operation has an order id out of range");
    return true;
}

bool workload_read(const char *path, struct workload *ret_workload)
{
    struct workload workload = { .ops = NULL };
    FILE *file = fopen(path, "rb");

    if (!file)
        return complain(path, "cannot be read");

    bool fine = read_from(file, path, &workload);

    fclose(file);
    if (fine)
        *ret_workload = workload;
    else
        workload_release(&workload);
    return fine;
}

bool workload_write(const char *path, const struct workload *workload)
{
    struct head head = { .prefill = workload->prefill,
        .operations = workload->operations,
        .seed = workload->seed,
        .order_id_max = workload->order_id_max };
    size_t count = workload->prefill + workload->operations;
    FILE *file = fopen(path, "wb");

    if (!file)
        return complain(path, "cannot be written");
    memcpy(head.magic, magic, sizeof magic);
    memcpy(head.name, workload->name, sizeof head.name);

    bool fine =
        fwrite(&head, sizeof head, 1, file) == 1 && fwrite(workload->ops, sizeof *workload->ops, count, file) == count;

    return (fclose(file) == 0 && fine) || complain(path, "cannot be written");
}

void workload_release(struct workload *workload)
{
    free(workload->ops);
    workload->ops = NULL;
}
