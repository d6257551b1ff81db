/* records_text.h -- the engine's records for eyes: one a line. */
#pragma once

#include "engine_core.h"

#include <stdio.h>

void record_write(FILE *file, const struct engine_record *record);
