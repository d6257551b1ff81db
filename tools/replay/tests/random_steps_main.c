/* random-steps REGIME COUNT SEED -- prints random commands of all kinds as text for engine-replay. REGIME: 0 or 1. */
#include "random_steps.h"

#include <stdlib.h>

int main(int argc, char **argv)
{
    static const struct random_regime regimes[] = {
        { "usual", 10000, 60, 30, 3, 7, 8, 120, false },
        { "limits and bands", 1000, 40, 20, 1, 5, 8, 80, true },
    };
    size_t regime = argc == 4 ? strtoull(argv[1], NULL, 10) : ARRAY_LEN(regimes);

    if (regime >= ARRAY_LEN(regimes)) {
        fprintf(stderr, "usage: random-steps REGIME COUNT SEED\n");
        return 2;
    }
    struct plain *plain = xcalloc(1, sizeof *plain);
    struct random_steps steps = { .regime = &regimes[regime], .random = strtoull(argv[3], NULL, 10) };
    struct step step;

    for (size_t count = strtoull(argv[2], NULL, 10); count > 0; count--) {
        random_step(&steps, plain, &step);
        step_write(stdout, &step);
        plain_apply(plain, &step);
        step_release(&step);
    }
    xfree(plain);
    return 0;
}
