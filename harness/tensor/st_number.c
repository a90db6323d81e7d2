// SPDX-License-Identifier: Apache-2.0
// JSON numbers as the Python package's parser (serde_json) takes them. Only whole numbers below 2^64 mean
// anything in a header, but one above the range of a double is refused even in a field that nobody reads, and
// with the roundings of that parser: digits into 64 bits, then one multiplication by a power of ten.
#include "tensor/st_json.h"

#include <stdlib.h>

typedef struct decimal {
    uint64_t digits; // as many leading digits as 64 bits hold
    int32_t exponent;
} decimal;

enum { POWERS = 309 }; // 1e0 .. 1e308

static bool is_digit(const qp_stj *j) {
    return j->p < j->end && *j->p >= '0' && *j->p <= '9';
}

static bool add_digit(uint64_t *value, uint8_t c) { // false: would pass 2^64 - 1, value unchanged
    uint64_t more;
    if (__builtin_mul_overflow(*value, (uint64_t)10, &more) ||
        __builtin_add_overflow(more, (uint64_t)(c - '0'), &more))
        return false;
    *value = more;
    return true;
}

static bool bad(qp_stj *j, const uint8_t *at) {
    if (j->stop == NULL) j->syntax = true;
    return qp_stj_fail(j, at, "a value was wanted");
}

// The first digit that does not fit ends the taking; before the point the rest counts as powers of ten.
static bool whole_part(qp_stj *j, decimal *d) {
    bool full = false;
    if (!is_digit(j)) return bad(j, j->p);
    if (*j->p == '0') {
        j->p++;
        return !is_digit(j) || bad(j, j->p);
    }
    for (; is_digit(j); j->p++) {
        full = full || !add_digit(&d->digits, *j->p);
        if (full) d->exponent++;
    }
    return true;
}

static bool fraction(qp_stj *j, decimal *d) {
    bool full = false;
    j->p++;
    if (!is_digit(j)) return bad(j, j->p);
    for (; is_digit(j); j->p++) {
        full = full || !add_digit(&d->digits, *j->p);
        if (!full) d->exponent--;
    }
    return true;
}

static bool out_of_range(qp_stj *j, const uint8_t *from) {
    j->syntax = true;
    return qp_stj_fail(j, from, "a number in the range of a double was wanted");
}

static bool exponent(qp_stj *j, const uint8_t *from, decimal *d) {
    int64_t value = 0;
    bool negative = false;
    j->p++;
    if (qp_stj_at(j, '+') || qp_stj_at(j, '-')) negative = *j->p++ == '-';
    if (!is_digit(j)) return bad(j, j->p);
    for (; is_digit(j); j->p++)
        if (value <= INT32_MAX) value = value * 10 + (*j->p - '0');
    if (value > INT32_MAX && !negative && d->digits != 0) return out_of_range(j, from);
    if (value > INT32_MAX) { // zero, or so small that it is zero
        d->digits = 0;
        return true;
    }
    value = (int64_t)d->exponent + (negative ? -value : value);
    d->exponent = (int32_t)(value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : value);
    return true;
}

// 10^n correctly rounded; strtod is correctly rounded, a running product is not.
static double power_of_ten(int n) {
    char text[8] = {'1', 'e', (char)('0' + n / 100), (char)('0' + n / 10 % 10), (char)('0' + n % 10), 0};
    return strtod(text, NULL);
}

static bool fits_a_double(const decimal *d) {
    if (d->digits == 0 || d->exponent <= 0) return true;
    if (d->exponent >= POWERS) return false;
    return (double)d->digits * power_of_ten(d->exponent) <= 1.7976931348623157e308;
}

bool qp_stj_number_at(qp_stj *j, qp_stj_number *out) {
    const uint8_t *from = j->p;
    decimal d = {0};
    bool plain = !qp_stj_at(j, '-');
    if (!plain) j->p++;
    if (!whole_part(j, &d)) return false;
    out->whole = plain && d.exponent == 0 && !qp_stj_at(j, '.') && !qp_stj_at(j, 'e') && !qp_stj_at(j, 'E');
    out->value = d.digits;
    if (qp_stj_at(j, '.') && !fraction(j, &d)) return false;
    if ((qp_stj_at(j, 'e') || qp_stj_at(j, 'E')) && !exponent(j, from, &d)) return false;
    return fits_a_double(&d) || out_of_range(j, from);
}
