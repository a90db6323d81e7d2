// SPDX-License-Identifier: Apache-2.0
// quantproof verify where it cannot judge: what it says then must never read as a pass.
#include "cmd/tests/cli.h"
#include "synth/synth.h"

static cli_run r;
static const char *folder;

static void setup(void) {
    qp_err err = {0};
    cli_open(&r, "verify");
    folder = cli_path(&r, "model");
    const qp_synth_options o = {.preset = "modelopt-nvfp4",
                                .folder = folder,
                                .original = cli_path(&r, "original"),
                                .hidden = 128,
                                .layers = 2,
                                .seed = 5,
                                .shards = 2};
    ck_assert_msg(qp_synth_write(&o, r.arena, &err) == QP_OK, "%s", err.msg);
    (void)remove(cli_path(&r, "model/hf_quant_config.json"));
}

static void teardown(void) {
    cli_close(&r);
}

static void claim(json_t *quantization) {
    const char *path = cli_path(&r, "model/config.json");
    json_t *config = json_load_file(path, 0, NULL);
    ck_assert_ptr_nonnull(config);
    ck_assert_int_eq(json_object_set_new(config, "quantization_config", quantization), 0);
    ck_assert_int_eq(json_dump_file(config, path, 0), 0);
    json_decref(config);
}

START_TEST(a_dialect_that_no_rule_knows_is_never_called_sound) {
    claim(json_pack("{s:s}", "quant_method", "quark"));
    cli(&r, "verify", folder, NULL);
    cli_wants(&r, 6);
    cli_says(&r, "'quark' is no dialect known here");
    cli_says(&r, "NOTHING JUDGED: ");
    cli_says(&r, " linears of a scheme that no rule here knows\n");
}
END_TEST

START_TEST(an_algorithm_that_no_rule_knows_is_never_called_sound) {
    claim(json_pack("{s:s, s:s, s:[s]}", "quant_method", "modelopt", "quant_algo", "NVFP3", "ignore",
                    "lm_head"));
    cli(&r, "verify", folder, NULL);
    cli_wants(&r, 6);
    cli_says(&r, "'NVFP3' is no scheme known here");
    cli_says(&r, "NOTHING JUDGED: ");
}
END_TEST

START_TEST(without_any_config_the_first_line_says_so) {
    ck_assert_int_eq(remove(cli_path(&r, "model/config.json")), 0);
    cli(&r, "verify", folder, NULL);
    cli_wants(&r, 0);
    cli_says(&r, "model: no config beside it, schemes are read off the tensors\n");
}
END_TEST

START_TEST(a_shard_alone_says_that_it_is_one) {
    cli(&r, "verify", cli_path(&r, "model/model-00002-of-00002.safetensors"), NULL);
    cli_wants(&r, 0);
    cli_says(&r, "one shard of several: what is not in it was not missed");
}
END_TEST

int main(void) {
    Suite *s = suite_create("verify where it cannot judge");
    TCase *c = tcase_create("verify");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_dialect_that_no_rule_knows_is_never_called_sound);
    tcase_add_test(c, an_algorithm_that_no_rule_knows_is_never_called_sound);
    tcase_add_test(c, without_any_config_the_first_line_says_so);
    tcase_add_test(c, a_shard_alone_says_that_it_is_one);
    suite_add_tcase(s, c);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
