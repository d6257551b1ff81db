#include "torture.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *const torture_topics[TORTURE_TOPICS] = { "orders.accepted.v1", "orders.events.v1", "ledger.entries.v1" };

/* splitmix64 */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

size_t torture_payload(uint64_t seed, uint32_t key, uint64_t n, char ret_payload[TORTURE_PAYLOAD_MAX])
{
    uint64_t digest = mix(mix(seed + key) + n);
    int len = snprintf(ret_payload, TORTURE_PAYLOAD_MAX, "%" PRIu32 ":%" PRIu64 ":%016" PRIx64 ":", key, n, digest);
    size_t tail = 32 + digest % 200;

    memset(ret_payload + len, 'a' + (int)(digest % 26), tail);
    ret_payload[(size_t)len + tail] = '\0';
    return (size_t)len + tail;
}
