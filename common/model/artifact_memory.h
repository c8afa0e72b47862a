/* What an artifact is in, for those who make one. */
#pragma once

#include "base/arena.h"
#include "model/artifact.h"

struct artifact_memory {
    uint8_t *bytes;
    struct arena arena; /* everything else */
};
