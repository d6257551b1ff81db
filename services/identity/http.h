/* http.h -- the routes of this service. */
#pragma once

#include "../chassis/http.h"

extern const struct http_route routes[];
