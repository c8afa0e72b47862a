#include "base/prng.h"

#include <math.h>

static const double two_pi = 6.283185307179586;

uint64_t prng_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

void prng_seed(struct prng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        r->s[i] = prng_mix(seed + (uint64_t)i * 0x9e3779b97f4a7c15);
}

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t prng_next(struct prng *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

double prng_exponential(struct prng *r, double mean)
{
    return -mean * log1p(-prng_unit(r));
}

double prng_normal(struct prng *r)
{
    double radius = sqrt(-2 * log1p(-prng_unit(r)));
    return radius * cos(two_pi * prng_unit(r));
}
