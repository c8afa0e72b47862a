/* A target as a program of libFuzzer. FUZZ_TARGET is the target's function. */
#include "fuzz.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FUZZ_TARGET((struct str){size ? (const char *)data : "", size});
    return 0;
}
