/*
 * The population stability index: how far counts of two samples in the same bins are apart.
 *
 *     p_i = (a_i + 1/2) / (n + bins / 2), q_i alike of the reference
 *     PSI = sum of (p_i - q_i) * ln(p_i / q_i)
 *
 * Of two samples of the same distribution, PSI / (1 / n + 1 / m) is about chi-squared with bins - 1
 * degrees of freedom (Yurdakul and Naranjo, "Statistical properties of the population stability
 * index", Journal of Risk Model Validation 2020). Any thread; no clock.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* counts: of a sample, and of the reference; `bins` each. 0 for fewer than two bins. */
double psi(const uint64_t *counts, const uint64_t *reference, size_t bins);
