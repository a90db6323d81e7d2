// SPDX-License-Identifier: Apache-2.0
// Reference variants: fake-quant as somebody else would write it, one deviation each: wrong on purpose, or a
// legitimate other spelling. Subjects of tests and of the miner only: a set of inputs that cannot tell a
// variant from the reference cannot see that mistake in a kernel either. Written for itself: no arithmetic is
// shared with reference/ or kernels/.
#ifndef VARIANTS_VARIANTS_H
#define VARIANTS_VARIANTS_H

#include "qp/dtype.h"
#include "qp/format.h"

typedef struct qp_vtensor {
    qp_format format;
    qp_dtype dtype; // of the answer: bf16, fp16, fp32
    int64_t rows, cols;
    const float *x;    // [rows, cols], the exact values of the input type
    const float *amax; // as calibrated: [1] | [rows] | [rows*blocks] | [block rows*block columns]; not read
                       // for nvfp4 and MX
    float global_amax; // NVFP4
} qp_vtensor;

typedef struct qp_variant {
    const char *name; // by its sin
    const char *sin;  // one line, with the section of the numerics spec
    int amax;         // how the amax of an element is found: vg_sin, 0 = rightly
    const void *rule; // switches of the family, NULL = all as they should be
} qp_variant;

// Number of variants of a format, 0: it has no fake-quant. Number 0 is the one without a sin: it must equal
// the reference bit for bit.
int qp_n_variants(qp_format f);
const qp_variant *qp_variant_at(qp_format f, int i);
// Answers of engine ieee with that one deviation. y [rows, cols]: values of t->dtype, any NaN for NaN.
void qp_variant_fakequant(const qp_variant *v, const qp_vtensor *t, float *y);

// Variants that no input of that type can tell from the reference, and why; NULL: there are such inputs. The
// claim is proved by search ('quantproof mine --prove'), not believed.
const char *qp_variant_equal(qp_format f, qp_dtype t, const char *name);
// The list itself: name of claim i and the formats (bit per qp_format) it is made for.
int qp_n_variant_claims(void);
const char *qp_variant_claim(int i, unsigned *formats);

#endif
