/*
 * Random numbers that are the same for the same seed.
 *
 * xoshiro256** 1.0, seeded by splitmix64, as published by Blackman and Vigna (prng.di.unimi.it,
 * public domain). Not for secrets. One thread per state; no globals.
 */
#pragma once

#include <stdint.h>

struct prng {
    uint64_t s[4];
};

/* Any seed is good, 0 and neighbouring ones among them. */
void prng_seed(struct prng *r, uint64_t seed);

/* The next of splitmix64's sequence: a good hash of x, too. */
uint64_t prng_mix(uint64_t x);

uint64_t prng_next(struct prng *r);

/* In [0, 1), a multiple of 2^-53. */
static inline double prng_unit(struct prng *r)
{
    return (double)(prng_next(r) >> 11) * 0x1p-53;
}

/* 0 … n - 1; n must not be 0. Lemire's multiplication, without his rejection: the bias is below n /
 * 2^32. */
static inline uint32_t prng_below(struct prng *r, uint32_t n)
{
    return (uint32_t)(((prng_next(r) >> 32) * (uint64_t)n) >> 32);
}

/* Exponential with this mean; Box and Muller's normal with mean 0 and variance 1. */
double prng_exponential(struct prng *r, double mean);
double prng_normal(struct prng *r);
