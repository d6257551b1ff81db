#include <event_bus/version.h>

const char *event_bus_version(void)
{
    return EVENT_BUS_VERSION;
}
