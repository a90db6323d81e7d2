// SPDX-License-Identifier: Apache-2.0
// One linear of every dialect: sound as it stands, and each of its tensors missing, of another type, of
// another shape.
#include "audit/tests/dialects.h"

START_TEST(a_sound_linear_has_no_finding_and_the_scheme_of_its_config) {
    const dialect *d = &dialects[_i];
    tiny *t = make(d);
    tiny_structure(t);
    TINY_WANT_CLEAN(t);
    ck_assert_uint_eq(t->modules.n, 3);
    for (int i = 0; i < 3; i++) {
        const qp_ck_module *m = &t->modules.list[i];
        ck_assert_ptr_nonnull(m->scheme);
        ck_assert_str_eq(m->scheme->name, d->scheme);
        ck_assert_ptr_eq(m->scheme, m->claim.scheme);
        ck_assert(m->sound);
    }
    done(t);
}
END_TEST

START_TEST(every_tensor_that_is_gone_is_named) {
    const dialect *d = &dialects[_i];
    char name[192];
    for (int i = 0; i < 8 && d->parts[i].suffix != NULL; i++) {
        const part *p = &d->parts[i];
        tiny *t = make(d);
        tensor_name(name, sizeof name, d, 1, p);
        tiny_drop(t, name);
        tiny_structure(t);
        if (p->flags == MUST)
            TINY_WANT_ONLY(t, QP_CK_MISSING_SCALE, name);
        else if (p->flags == WEIGHT)
            ck_assert_msg(t->findings.counts[QP_CK_ORPHAN_SCALE] > 0, "%s: %s", d->name, tiny_text(t));
        else
            TINY_WANT_CLEAN(t);
        done(t);
    }
}
END_TEST

static qp_st_type another_type(qp_st_type t) { // of the same size where there is one
    switch (t) {
    case QP_ST_U8:
        return QP_ST_BOOL;
    case QP_ST_F8_E4M3:
        return QP_ST_F8_E5M2;
    case QP_ST_F32:
        return QP_ST_BF16;
    case QP_ST_BF16:
    case QP_ST_F16:
        return QP_ST_I16;
    case QP_ST_I8:
        return QP_ST_BOOL;
    case QP_ST_I32:
        return QP_ST_U32;
    default:
        return QP_ST_U64;
    }
}

START_TEST(every_tensor_of_another_type_is_named) {
    const dialect *d = &dialects[_i];
    char name[192];
    for (int i = 0; i < 8 && d->parts[i].suffix != NULL; i++) {
        const part *p = &d->parts[i];
        tiny *t = make(d);
        tensor_name(name, sizeof name, d, 1, p);
        tiny_find(t, name)->type = another_type(p->type);
        // DeepSeek's scales are F32 with DeepSeek, BF16 with Qwen
        if (strcmp(d->name, "deepseek fp8") == 0 && p->flags == MUST) tiny_find(t, name)->type = QP_ST_F64;
        tiny_structure(t);
        TINY_WANT_ONLY(t, QP_CK_DTYPE, name);
        done(t);
    }
}
END_TEST

// A scale per row or per tensor fits any number of columns, one per tensor any number of rows.
static bool shows(const dialect *d, int axis) {
    const part *scale = &d->parts[1];
    const bool rows = scale->n_dims == 1 || (scale->n_dims == 2 && scale->dims[1] == 1 && scale->dims[0] > 1);
    const bool one = scale->n_dims == 0 || (scale->n_dims == 1 && scale->dims[0] == 1);
    return !one && !(rows && axis == 1);
}

START_TEST(every_tensor_of_another_shape_is_named_and_no_other) {
    const dialect *d = &dialects[_i];
    char name[192];
    for (int k = 0; k < 16 && d->parts[k / 2].suffix != NULL; k++) {
        const part *p = &d->parts[k / 2];
        const int axis = p->n_dims - 2 + k % 2;
        if ((axis < 0 && p->n_dims > 0) || (p->flags == WEIGHT && !shows(d, k % 2))) continue;
        tiny *t = make(d);
        tensor_name(name, sizeof name, d, 1, p);
        tiny_tensor *x = tiny_find(t, name);
        if (p->n_dims == 0)
            x->dims[x->n_dims++] = 3;
        else
            x->dims[axis] *= 2;
        tiny_structure(t);
        // two ranks: the second part is the one named
        const char *lora_b = "model.layers.1.self_attn.o_proj.weight_quantizer._svdquant_lora_b";
        TINY_WANT_ONLY(t, QP_CK_SHAPE, strstr(name, "_lora_a") != NULL && axis == 0 ? lora_b : name);
        done(t);
    }
}
END_TEST

// ---- how a shape is wrong
// -----------------------------------------------------------------------------------------------------------

typedef struct wrong {
    const char *suffix;
    int n_dims;
    int64_t dims[3];
    const char *says;
} wrong;

static const wrong wrongs[] = {
    // of the first dialect: codes [96, 80], scales [96, 10]
    {".weight_scale", 2, {128, 12}, "padded to 128 rows and 4 columns"},
    {".weight_scale", 1, {1536}, "padded to 128 rows and 4 columns"},
    {".weight_scale", 2, {10, 96}, "transposed"},
    {".weight_scale", 2, {48, 10}, "some of the rows"},
    {".weight_scale", 2, {96, 5}, "some of the columns"},
    {".weight_scale", 2, {96, 9}, "the last part of a block is lost"},
    {".weight_scale", 1, {960}, "the elements without their dimensions"},
    {".weight", 2, {48, 160}, "packed along the wrong axis"},
    {".weight", 2, {80, 96}, "transposed"},
    {".weight", 2, {48, 80}, "some of the rows"},
    {".weight_scale", 2, {7, 7}, "wanted [96, 10], got [7, 7]"},
};

START_TEST(a_wrong_shape_is_named_by_its_kind) {
    const wrong *w = &wrongs[_i];
    const part p = {.suffix = w->suffix};
    char name[192];
    tiny *t = make(&dialects[0]);
    tensor_name(name, sizeof name, &dialects[0], 2, &p);
    tiny_tensor *x = tiny_find(t, name);
    x->n_dims = w->n_dims;
    memcpy(x->dims, w->dims, sizeof w->dims);
    tiny_structure(t);
    TINY_WANT_ONLY(t, QP_CK_SHAPE, name);
    const qp_ck_finding *f = tiny_finding(t, QP_CK_SHAPE, name);
    ck_assert_msg(strstr(f->detail, w->says) != NULL, "wanted '%s' in '%s'", w->says, f->detail);
    done(t);
}
END_TEST

START_TEST(a_weight_shape_that_lies_is_a_shape) {
    tiny *t = NULL;
    for (int i = 0; i < QP_COUNT(dialects); i++)
        if (strcmp(dialects[i].name, "ct int4") == 0) t = make(&dialects[i]);
    tiny_find(t, "model.layers.1.self_attn.o_proj.weight_shape")->numbers[0] = 95;
    tiny_structure(t);
    TINY_WANT_ONLY(t, QP_CK_SHAPE, "model.layers.1.self_attn.o_proj.weight_shape");
    done(t);
}
END_TEST

int main(void) {
    Suite *s = suite_create("structure");
    TCase *c = tcase_create("structure");
    const int n = QP_COUNT(dialects);
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, a_sound_linear_has_no_finding_and_the_scheme_of_its_config, 0, n);
    tcase_add_loop_test(c, every_tensor_that_is_gone_is_named, 0, n);
    tcase_add_loop_test(c, every_tensor_of_another_type_is_named, 0, n);
    tcase_add_loop_test(c, every_tensor_of_another_shape_is_named_and_no_other, 0, n);
    tcase_add_loop_test(c, a_wrong_shape_is_named_by_its_kind, 0, QP_COUNT(wrongs));
    tcase_add_test(c, a_weight_shape_that_lies_is_a_shape);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
