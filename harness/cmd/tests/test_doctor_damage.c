// SPDX-License-Identifier: Apache-2.0
// The damage matrix of doctor: every preset's checkpoint is sound, every damage is found wherever it fits.
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/doctor_damage.h"
#include "core/file.h"

enum { SECONDS = 600, KINDS = 25, REAL = 30 };

static qp_err err;
static char scratch[64];

static void make_scratch(void) {
    snprintf(scratch, sizeof scratch, "/tmp/quantproof-damages-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scratch));
}

static void remove_scratch(void) {
    ck_assert_int_eq(qp_dir_remove(scratch, &err), QP_OK);
}

START_TEST(every_sound_checkpoint_is_clean_and_every_damage_is_found_where_it_fits) {
    qp_damage_tally t;
    ck_assert_msg(qp_doctor_damages(scratch, "cases", NULL, false, stdout, &t, &err) == QP_OK, "%s", err.msg);
    ck_assert_int_eq(t.clean, t.checkpoints);
    ck_assert_int_eq(t.checkpoints - t.real, qp_synth_n_presets);
    ck_assert_int_ge(t.real, REAL);
    ck_assert_int_ge(t.kinds, KINDS);
    ck_assert_int_eq(t.kinds, qp_n_damages + qp_n_synth_sins); // none that fits nowhere
    ck_assert_int_eq(t.kinds_found, t.kinds);
    ck_assert_int_eq(t.places_found, t.places);
    ck_assert_int_ge(t.places, 1000);
    ck_assert_int_ge(t.linears, 500);
    ck_assert_int_eq(t.problems, 0);
}
END_TEST

START_TEST(one_damage_is_run_alone_by_name) {
    qp_damage_tally t;
    ck_assert_msg(qp_doctor_damages(scratch, NULL, "gate-up-global-unequal", false, NULL, &t, &err) == QP_OK,
                  "%s", err.msg);
    ck_assert_int_eq(t.kinds, 1);
    ck_assert_int_ge(t.places, 5);
}
END_TEST

int main(void) {
    Suite *s = suite_create("doctor_damage");
    TCase *t = tcase_create("matrix");
    tcase_set_timeout(t, SECONDS);
    tcase_add_checked_fixture(t, make_scratch, remove_scratch);
    tcase_add_test(t, every_sound_checkpoint_is_clean_and_every_damage_is_found_where_it_fits);
    tcase_add_test(t, one_damage_is_run_alone_by_name);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
