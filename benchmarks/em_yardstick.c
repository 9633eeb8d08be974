/* The yardstick of EM: one fused E- and M-step in plain C, as a compiler at -O3 makes it.

   Same data and same result as crowdtruth._kernels.em.fused_pass for 8 classes: ratings in item order, one code each,
   which is a row of `table` (probability of the rating by true class) and of `sums`; the last row is the prevalence.
   Built and called by benchmarks/truth.py. */

#include <math.h>
#include <stdint.h>

#define CLASSES 8

double fused_pass(const int64_t *starts, int64_t n_items, const uint16_t *codes, const double *restrict table,
                  double *restrict sums, int64_t n_rows)
{
    const double *prevalence = table + (n_rows - 1) * CLASSES;
    double *totals = sums + (n_rows - 1) * CLASSES;
    double log_likelihood = 0, running = 1;
    for (int64_t i = 0; i < n_items; i++) {
        double posterior[CLASSES], likelihood = 0;
        for (int k = 0; k < CLASSES; k++)
            posterior[k] = prevalence[k];
        for (int64_t r = starts[i]; r < starts[i + 1]; r++) {
            const double *row = table + (int64_t)codes[r] * CLASSES;
            for (int k = 0; k < CLASSES; k++)
                posterior[k] *= row[k];
        }
        for (int k = 0; k < CLASSES; k++)
            likelihood += posterior[k];
        for (int k = 0; k < CLASSES; k++)
            posterior[k] /= likelihood;
        running *= likelihood;
        if (running < 1e-100) {
            log_likelihood += log(running);
            running = 1;
        }
        for (int64_t r = starts[i]; r < starts[i + 1]; r++) {
            double *row = sums + (int64_t)codes[r] * CLASSES;
            for (int k = 0; k < CLASSES; k++)
                row[k] += posterior[k];
        }
        for (int k = 0; k < CLASSES; k++)
            totals[k] += posterior[k];
    }
    return log_likelihood + log(running);
}
