// SPDX-License-Identifier: Apache-2.0
// Inside eval: bits in, bits out. The grammar is a table (eval_table.c): one row per op and formats, with its
// keys. Parsing, checking, listing and answering all read that table; a later issue adds a row or gives one
// its answer function.
#ifndef CMD_EVAL_H
#define CMD_EVAL_H

#include "core/arena.h"
#include "qp/dtype.h"
#include "qp/format.h"

#include <stdio.h>

typedef enum eval_type {
    EVAL_T,        // images in the type named by 'in'
    EVAL_O,        // images in the type named by 'out'
    EVAL_S,        // images in the type of scales: as T, but fp32 under deepseek-fp8 (ref_scale_dtype)
    EVAL_F32,      // fp32 images
    EVAL_U8,       // bytes
    EVAL_DEC,      // decimal
    EVAL_WORD,     // one of 'words'
    EVAL_SHAPE,    // RxC
    EVAL_BLOCK2D,  // RxC
    EVAL_NAME,     // any text
    EVAL_FRACTION, // decimal fraction
    EVAL_TYPE_COUNT
} eval_type;

typedef struct eval_key {
    const char *name;
    eval_type type;
    const char *count; // of an array: "" one, N, R, nb, N/2 ...; eval_counts says which of them are checked
    const char *dflt;  // NULL: required; "data": from x; else a text of the type ("" : absent)
    const char *const *words;
    bool answer;
    bool approx; // within 1e-5 relative
} eval_key;

enum { EVAL_MAX_KEYS = 12, EVAL_MAX_ANSWERS = 5 };

struct eval_case;
struct eval_answer;
typedef qp_status (*eval_fn)(const struct eval_case *c, qp_engine engine, qp_arena *a,
                             struct eval_answer *out, qp_err *err);

typedef struct eval_row {
    const char *op;
    const char *formats; // space separated; "-": the op takes no fmt
    const char *kind;    // candidates: the word of key 'kind' that chooses this row; NULL elsewhere
    const eval_key *keys;
    int n_keys;
    unsigned engines; // bit per qp_engine that has this answer (product page, section 5); 0: one answer for
                      // every engine
    int ref_op;       // qp_op that ref_unsupported is asked about, -1 = none
    unsigned built;   // engines built when ref_op is -1
    eval_fn answer;   // NULL: known, not built yet
} eval_row;

extern const eval_row eval_rows[];
extern const int eval_n_rows;

// ---- a line
// ----------------------------------------------------------------------------------------------------------------

typedef struct eval_array {
    qp_dtype dtype; // QP_BF16 QP_FP16 QP_FP32 QP_U8 QP_E4M3 (bytes); QP_I32: decimal
    int64_t n;
    void *data;
} eval_array;

// One key of a line: its text and, once converted, its value.
typedef struct eval_value {
    const char *text; // NULL: not given
    size_t column;    // of the text, 1-based; 0 = from the command line
    eval_array array; // EVAL_T .. EVAL_U8
    int64_t number;   // EVAL_DEC that is one value, index of EVAL_WORD
    double fraction;  // EVAL_FRACTION
} eval_value;

typedef struct eval_place {
    const char *name; // "stdin" or a file
    int line;
} eval_place;

typedef struct eval_case {
    const eval_row *row;
    eval_place place;
    const char *line; // as it stood
    qp_format format; // QP_FORMAT_NONE for codecs and ops without formats
    const char *fmt;  // text, "" when there is none
    qp_engine engine;
    bool all_engines; // engine=all
    size_t engine_column;
    eval_value values[EVAL_MAX_KEYS]; // parallel to row->keys
    qp_dtype in, out;
    int64_t rows, cols;
    int64_t block_rows, block_cols;
    const char *group; // promote: text of group=, NULL otherwise
} eval_case;

typedef struct eval_answer {
    int n;
    struct {
        const eval_key *key;
        eval_array array;
    } items[EVAL_MAX_ANSWERS];
} eval_answer;

typedef enum eval_state { EVAL_EMPTY, EVAL_GOOD, EVAL_SKIPPED, EVAL_REFUSED } eval_state;

// Words of the command line that stand before every line: op and key=value.
typedef struct eval_defaults {
    const char *op; // NULL
    const char *names[32], *values[32];
    int n;
} eval_defaults;

// Adds key=value; an unknown key (in no row) is QP_USAGE with the nearest one.
qp_status eval_defaults_add(eval_defaults *d, const char *word, qp_arena *a, qp_err *err);
// Is op known, and does the row of a given op and fmt have every key given?
qp_status eval_defaults_check(const eval_defaults *d, qp_arena *a, qp_err *err);

// One line -> case. EVAL_REFUSED: *message says place and reason. EVAL_SKIPPED: *message is the label "quant
// int8 (torch-cpu)".
qp_status eval_parse(const char *line, size_t n, eval_place place, const eval_defaults *d, qp_arena *a,
                     eval_case *out, eval_state *state, const char **message, qp_err *err);
// Text of every given key -> value; counts against shape. QP_USAGE with the place.
qp_status eval_convert(eval_case *c, qp_arena *a, qp_err *err);
// Known but not built: NULL when it is built, else the label for the skip summary.
qp_status eval_not_built(const eval_case *c, qp_engine engine, qp_arena *a, const char **label, qp_err *err);

// Index in row->keys; -1.
int eval_key_index(const eval_row *row, const char *name);
const eval_value *eval_get(const eval_case *c, const char *name); // NULL when the row has no such key
bool eval_given(const eval_case *c, const char *name);
// How many values the count rule of a key asks for; -1: not checked.
int64_t eval_wanted_count(const eval_case *c, const eval_key *key);
bool eval_count_known(const char *count); // is there a rule for this text?
int64_t eval_n_blocks(const eval_case *c);
qp_dtype eval_array_dtype(const eval_case *c, const eval_key *key);
qp_status eval_array_new(qp_dtype dtype, int64_t n, qp_arena *a, eval_array *out, qp_err *err);
uint32_t eval_array_bits(const eval_array *a,
                         int64_t i); // NaN of a float type comes back as the canonical one
bool eval_same_bits(qp_dtype t, uint32_t a, uint32_t b); // NaN as a class
bool eval_near_bits(uint32_t want, uint32_t got);        // fp32 images of keys marked approx
// "FILE:LINE:COLUMN" or "FILE:LINE: command line" in front of a message.
qp_status eval_refuse(const eval_case *c, size_t column, qp_err *err, const char *fmt, ...) QP_PRINTF(4, 5);

// ---- answers (eval_answer.c)
// -------------------------------------------------------------------------------------------------

qp_status eval_answer_fakequant(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                                qp_err *err);
qp_status eval_answer_backward(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                               qp_err *err);
qp_status eval_answer_quant(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out, qp_err *err);
qp_status eval_answer_dequant(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                              qp_err *err);
qp_status eval_answer_amax(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out, qp_err *err);
qp_status eval_answer_promote(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                              qp_err *err);
// eval_codec.c
qp_status eval_answer_encode(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                             qp_err *err);
qp_status eval_answer_decode(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                             qp_err *err);
// eval_calib.c
qp_status eval_answer_candidates(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                                 qp_err *err);
qp_status eval_answer_sweep_candidates(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                                       qp_err *err);
qp_status eval_answer_mse(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out, qp_err *err);
qp_status eval_answer_sweep(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out, qp_err *err);
qp_status eval_answer_histogram(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                                qp_err *err);
qp_status eval_answer_percentile(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                                 qp_err *err);
qp_status eval_answer_entropy(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                              qp_err *err);
qp_status eval_answer_headroom(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                               qp_err *err);
qp_status eval_answer_cast_amax(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                                qp_err *err);
qp_status eval_answer_swizzle(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                              qp_err *err);
// global_amax of every member becomes the maximum over all of them.
void eval_join_group(eval_answer *const *members, int n);

// ---- a stream of lines (eval_stream.c)
// ---------------------------------------------------------------------------------------

typedef struct eval_skip {
    const char *label;
    int n;
    struct eval_skip *next;
} eval_skip;

typedef struct eval_totals {
    int lines, equal, different, answered, skipped, refused;
    eval_skip *skips; // in order of appearance
} eval_totals;

typedef struct eval_stream {
    FILE *in, *out, *errors;
    const char *name; // for places: "stdin" or the path
    bool check;
    const eval_defaults *defaults;
    qp_arena *keep; // lives as long as the totals
    eval_totals *totals;
} eval_stream;

qp_status eval_run(const eval_stream *s, qp_err *err);
qp_status eval_print_skips(const eval_totals *t, FILE *out, qp_err *err);
qp_status eval_print_grammar(FILE *out, qp_err *err); // eval --list

#endif
