// SPDX-License-Identifier: Apache-2.0
// eval --list: the grammar, the formats and the engines, printed from the tables that the parser and the
// reference use.
#include "cmd/eval.h"

#include "core/text.h"
#include "qp/ref.h"

#include <string.h>

static void print_key(FILE *out, const eval_key *k) {
    static const char *const types[EVAL_TYPE_COUNT] = {"T",  "O",   "S",   "f32",  "u8",      "dec",
                                                       NULL, "RxC", "RxC", "name", "fraction"};
    fprintf(out, " %s:", k->name);
    if (k->type == EVAL_WORD)
        for (int i = 0; k->words[i] != NULL; i++) fprintf(out, "%s%s", i > 0 ? "/" : "", k->words[i]);
    else
        fprintf(out, "%s", types[k->type]);
    if (k->count[0] != '\0') fprintf(out, "[%s]", k->count);
    if (k->approx) fputc('~', out);
    if (!k->answer && k->dflt != NULL) fprintf(out, "=%s", k->dflt[0] != '\0' ? k->dflt : "none");
}

static void print_row(FILE *out, const eval_row *row) {
    fprintf(out, "%s  %s%s%s\n", row->op, row->formats, row->kind != NULL ? "  kind=" : "",
            row->kind != NULL ? row->kind : "");
    fprintf(out, "    in: ");
    for (int k = 0; k < row->n_keys; k++)
        if (!row->keys[k].answer) print_key(out, &row->keys[k]);
    if (row->engines != 0) fprintf(out, " engine:WORD=ieee");
    fprintf(out, "\n    out:");
    for (int k = 0; k < row->n_keys; k++)
        if (row->keys[k].answer) print_key(out, &row->keys[k]);
    fputc('\n', out);
}

// Is any op and format of this row answered under that engine?
static qp_status print_engines(FILE *out, const eval_row *row, qp_arena *a, qp_err *err) {
    for (const char *p = row->formats; *p != '\0'; p += strspn(p, " ")) {
        size_t n = strcspn(p, " ");
        eval_case c = {.row = row, .format = QP_FORMAT_NONE};
        QP_TRY(qp_arena_printf(a, &c.fmt, err, "%.*s", (int)n, p));
        for (int f = 0; f < QP_FORMAT_COUNT; f++)
            if (strcmp(qp_format_get((qp_format)f)->name, c.fmt) == 0) c.format = (qp_format)f;
        fprintf(out, "%-12s %-16s", row->op, c.fmt);
        for (int e = 0; e < QP_ENGINE_COUNT; e++) {
            const char *later = NULL;
            if (!(row->engines >> e & 1)) continue;
            QP_TRY(eval_not_built(&c, (qp_engine)e, a, &later, err));
            fprintf(out, " %s%s", qp_engine_name((qp_engine)e), later != NULL ? "(later)" : "");
        }
        fputc('\n', out);
        p += n;
    }
    return QP_OK;
}

qp_status eval_print_grammar(FILE *out, qp_err *err) {
    qp_arena *a = qp_arena_new();
    qp_status status = QP_OK;
    if (a == NULL) QP_FAIL(QP_NOMEM, "no memory for an arena");
    fprintf(out,
            "A line is words: key=value; words without '=' are x. key:type[count]=default; no '=': "
            "required; data: from x.\n"
            "T = images in the type named by in, O = by out, S = as T, fp32 under deepseek-fp8, f32 = fp32 "
            "images, u8 = bytes, dec = decimal, ~ = within 1e-5.\n"
            "Counts: N values, R rows, nb blocks. Hex is the IEEE image, most significant digit "
            "first.\n\nops:\n\n");
    for (int r = 0; r < eval_n_rows; r++) print_row(out, &eval_rows[r]);
    fprintf(out, "\nformats:\n\n");
    for (int f = 0; f < QP_FORMAT_COUNT; f++) {
        const qp_format_row *row = qp_format_get((qp_format)f);
        char block[32] = "";
        if (row->grain == QP_GRAIN_BLOCK) snprintf(block, sizeof block, "block %d", row->block_cols);
        if (row->grain == QP_GRAIN_BLOCK2D)
            snprintf(block, sizeof block, "block %dx%d", row->block_rows, row->block_cols);
        if (row->grain == QP_GRAIN_AXIS0) snprintf(block, sizeof block, "row");
        if (row->grain == QP_GRAIN_TENSOR) snprintf(block, sizeof block, "tensor");
        fprintf(out, "%-14s %-14s %-10s %s\n", row->name, block, row->pipeline ? "pipeline" : "",
                row->reference);
    }
    fprintf(out, "\nengines (later: known, not built yet):\n\n");
    for (int r = 0; r < eval_n_rows; r++)
        if (eval_rows[r].engines != 0) QP_TRY_GOTO(status, print_engines(out, &eval_rows[r], a, err), out);
out:
    qp_arena_free(a);
    return status;
}
