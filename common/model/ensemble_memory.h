/*
 * Where an ensemble's trees and texts live: for those that make one.
 */
#pragma once

#include "base/arena.h"

/* Made with calloc; ensemble_free() frees it after what is in it. */
struct ensemble_memory {
    struct arena arena;
};
