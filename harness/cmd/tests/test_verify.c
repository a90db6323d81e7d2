// SPDX-License-Identifier: Apache-2.0
// quantproof verify as a person and a CI see it: exit codes, text, JSON, JUnit, --allow. What it finds is
// tested where the rules are; the defects here are those of files and indexes.
#include <fcntl.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "checkpoint/ckpt.h"
#include "cmd/mapped.h"
#include "cmd/tests/cli.h"
#include "cmd/tests/json_schema.h"
#include "synth/synth.h"

#define INDEX "model.safetensors.index.json"

static cli_run r;
static const char *sound, *original, *index_path;

static void setup(void) {
    qp_err err = {0};
    cli_open(&r, "verify");
    sound = cli_path(&r, "sound");
    original = cli_path(&r, "original");
    index_path = cli_path(&r, "sound/" INDEX);
    const qp_synth_options o = {.preset = "modelopt-nvfp4",
                                .folder = sound,
                                .original = original,
                                .moe = true,
                                .hidden = 128,
                                .layers = 2,
                                .experts = 4,
                                .seed = 5,
                                .shards = 2};
    ck_assert_msg(qp_synth_write(&o, r.arena, &err) == QP_OK, "%s", err.msg);
    ck_assert(qp_file_exists(index_path));
}

static void teardown(void) {
    cli_close(&r);
}

// ---- harm that needs no rule about values
// --------------------------------------------------------------------------------

static json_t *index_of(void) {
    json_t *index = json_load_file(index_path, 0, NULL);
    ck_assert_ptr_nonnull(index);
    return index;
}

static void put_index(json_t *index) {
    ck_assert_int_eq(json_dump_file(index, index_path, JSON_INDENT(1)), 0);
    json_decref(index);
}

// warning: tolerated-format
static void wrong_total_size(void) {
    json_t *index = index_of();
    ck_assert_int_eq(json_object_set_new(json_object_get(index, "metadata"), "total_size", json_integer(7)),
                     0);
    put_index(index);
}

// errors: index-shards, one for each of the names
static void names_of_nothing(int n) {
    json_t *index = index_of(), *map = json_object_get(index, "weight_map");
    const char *shard = json_string_value(json_object_iter_value(json_object_iter(map)));
    const char *kept = cli_text(r.arena, "%s", shard);
    for (int i = 0; i < n; i++)
        json_object_set_new(map, cli_text(r.arena, "model.layers.%d.ghost", i), json_string(kept));
    put_index(index);
}

static json_t *json_answer(void) {
    json_error_t at;
    json_t *answer = json_loads(r.out, 0, &at);
    ck_assert_msg(answer != NULL, "line %d: %s: %s", at.line, at.text, r.out);
    schema_file_check("reports/schema/verify.schema.json", answer);
    return answer;
}

// ---- exit codes
// -----------------------------------------------------------------------------------------------------------

START_TEST(a_sound_checkpoint_exits_0_with_its_inventory_and_says_what_it_cannot_see) {
    cli(&r, "verify", sound, NULL);
    cli_wants(&r, 0);
    cli_says(&r, "sound: modelopt");
    cli_says(&r, " linears: ");
    cli_says(&r, " excluded by name, 0 unquantized without being excluded, 0 missing a scale\n");
    cli_says(&r, "nothing worse than a note\n");
    cli_says(&r, "A nibble swap, or a swizzle that keeps sizes, cannot be seen here: --against");
    ck_assert_str_eq(r.err, "");
}
END_TEST

START_TEST(a_checkpoint_without_quantization_exits_6) {
    cli(&r, "verify", original, NULL);
    cli_wants(&r, 6);
    cli_says(&r, "NOTHING JUDGED");
}
END_TEST

START_TEST(a_warning_exits_4_and_an_error_beside_it_1) {
    wrong_total_size();
    cli(&r, "verify", sound, NULL);
    cli_wants(&r, 4);
    cli_says(&r, "warning  " INDEX "  tolerated-format  metadata.total_size: ");
    cli_says(&r, "DOUBTFUL: 0 errors, 1 warning\n");
    names_of_nothing(1);
    cli(&r, "verify", sound, NULL);
    cli_wants(&r, 1);
    const char *error = strstr(r.out, "error    model.layers.0.ghost  index-shards  the index says ");
    const char *warning = strstr(r.out, "warning  " INDEX);
    ck_assert_msg(error != NULL && warning != NULL && error < warning, "worst first:\n%s", r.out);
    cli_says(&r, "         effect: loaders that follow the index stop");
    cli_says(&r, "\ncounts: index-shards 1, tolerated-format 1");
    cli_says(&r, "NOT SOUND: 1 error, 1 warning\n");
}
END_TEST

START_TEST(a_broken_shard_is_an_error_and_the_other_one_is_still_audited) {
    json_t *index = index_of();
    const char *first =
        json_string_value(json_object_iter_value(json_object_iter(json_object_get(index, "weight_map"))));
    const char *shard = cli_text(r.arena, "%s/%s", sound, first);
    struct stat st;
    ck_assert_int_eq(stat(shard, &st), 0);
    ck_assert_int_eq(truncate(shard, st.st_size - 1), 0);
    cli(&r, "verify", "--json", sound, NULL);
    cli_wants(&r, 1);
    json_t *answer = json_answer();
    ck_assert_int_ge((int)json_integer_value(json_object_get(answer, "tensors")), 1);
    ck_assert_int_ge(
        (int)json_integer_value(json_object_get(json_object_get(answer, "counts"), "file-format")), 1);
    json_decref(answer);
    json_decref(index);
}
END_TEST

START_TEST(what_is_no_checkpoint_exits_2_and_names_the_path) {
    const char *junit = cli_path(&r, "junit.xml");
    cli(&r, "verify", cli_path(&r, "nowhere"), "--junit", junit, NULL);
    cli_wants(&r, 2);
    cli_says(&r, "nowhere: No such file or directory");
    ck_assert_str_eq(r.out, "");
    const char *xml = cli_read(r.arena, junit);
    ck_assert_ptr_nonnull(strstr(xml, "errors=\"1\""));
    ck_assert_ptr_nonnull(strstr(xml, "nowhere: No such file or directory"));
    cli(&r, "verify", "--json", cli_dir(&r, "empty"), NULL);
    cli_wants(&r, 2);
    cli_says(&r, "no safetensors file here");
    ck_assert_str_eq(r.out, "");
    cli_write(cli_path(&r, "x.safetensors"), "12345678");
    cli(&r, "verify", cli_path(&r, "x.safetensors"), NULL);
    cli_wants(&r, 2);
}
END_TEST

START_TEST(strictly_what_is_tolerated_is_an_error) {
    static const char bytes[] = "\x08\0\0\0\0\0\0\0 {}     ";
    qp_err err = {0};
    const char *path = cli_path(&r, "space.safetensors");
    ck_assert(qp_file_write_atomic(path, bytes, sizeof bytes - 1, &err) == QP_OK);
    cli(&r, "verify", path, NULL);
    cli_wants(&r, 4);
    cli_says(&r, "leading-space");
    cli(&r, "verify", "--strict", path, NULL);
    cli_wants(&r, 2);
    cli_says(&r, "leading-space");
}
END_TEST

static void full_stdout(void *user) {
    (void)user;
    (void)freopen("/dev/full", "w", stdout);
}

START_TEST(an_answer_that_cannot_be_written_is_no_answer) {
    r.before = full_stdout;
    cli(&r, "verify", sound, NULL);
    cli_wants(&r, 2);
    cli(&r, "verify", "--json", sound, NULL);
    cli_wants(&r, 2);
    r.before = NULL;
    cli(&r, "verify", sound, "--junit", cli_path(&r, "no/such/folder/junit.xml"), NULL);
    cli_wants(&r, 2);
    cli_says(&r, "junit.xml");
}
END_TEST

START_TEST(an_original_that_cannot_be_read_is_never_a_silent_pass) {
    cli(&r, "verify", sound, "--against", cli_path(&r, "nowhere"), NULL);
    cli_wants(&r, 2);
    cli_says(&r, "nowhere: No such file or directory");
    const char *shard = cli_path(&r, "original/model-00001-of-00002.safetensors");
    struct stat st;
    ck_assert_int_eq(stat(shard, &st), 0);
    ck_assert_int_eq(truncate(shard, st.st_size - 1), 0);
    cli(&r, "verify", sound, "--against", original, NULL);
    cli_wants(&r, 1);
    cli_says(&r, "error    model-00001-of-00002.safetensors  file-format  in the original: ");
}
END_TEST

// ---- JSON, JUnit
// ----------------------------------------------------------------------------------------------------------

START_TEST(json_is_the_object_of_the_schema_in_a_stable_order) {
    static const char *const order[] = {"path",  "dialect", "engine",   "inventory", "tensors",
                                        "bytes", "judged",  "findings", "allowed",   "counts"};
    names_of_nothing(2);
    wrong_total_size();
    cli(&r, "verify", sound, "--json", NULL);
    cli_wants(&r, 1);
    const char *first = r.out;
    json_t *answer = json_answer(), *v;
    const char *key;
    int i = 0;
    json_object_foreach(answer, key, v) ck_assert_str_eq(key, order[i++]);
    ck_assert_int_eq(i, QP_COUNT(order));
    ck_assert_str_eq(json_string_value(json_object_get(answer, "path")), sound);
    ck_assert_str_eq(json_string_value(json_object_get(answer, "dialect")), "modelopt");
    ck_assert(json_is_null(json_object_get(answer, "engine")));
    json_t *counts = json_object_get(answer, "counts"), *list = json_object_get(answer, "findings");
    ck_assert_int_eq((int)json_integer_value(json_object_get(counts, "index-shards")), 2);
    ck_assert_int_eq((int)json_integer_value(json_object_get(counts, "tolerated-format")), 1);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "rule")), "index-shards");
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 1), "tensor")),
                     "model.layers.1.ghost");
    json_decref(answer);
    cli(&r, "verify", sound, "--json", "--threads", "1", NULL);
    ck_assert_str_eq(r.out, first);
}
END_TEST

START_TEST(statistics_and_against_are_in_the_object_when_asked_for) {
    cli(&r, "verify", sound, "--json", "--statistics", "--against", original, NULL);
    json_t *answer = json_answer();
    ck_assert(json_is_array(json_object_get(answer, "statistics")));
    const json_t *against = json_object_get(answer, "against"), *loss = json_object_get(against, "loss");
    ck_assert_double_gt(json_real_value(json_object_get(loss, "mean")), 1.0);
    ck_assert_double_ge(json_real_value(json_object_get(loss, "worst")),
                        json_real_value(json_object_get(loss, "mean")));
    ck_assert(json_is_string(json_object_get(answer, "engine")));
    json_decref(answer);
    cli(&r, "verify", sound, "--against", original, NULL);
    cli_says(&r, "  loss: 1.");
}
END_TEST

static int count_elements(const xmlNode *n, const char *name) {
    int k = 0;
    for (; n != NULL; n = n->next)
        k += (strcmp((const char *)n->name, name) == 0) + count_elements(n->children, name);
    return k;
}

static int number_of(xmlNode *n, const char *attribute) {
    xmlChar *text = xmlGetProp(n, (const xmlChar *)attribute);
    ck_assert_ptr_nonnull(text);
    int64_t v = -1;
    ck_assert(qp_parse_i64((const char *)text, &v));
    xmlFree(text);
    return (int)v;
}

static void junit_is(const char *path, int failures) {
    xmlDocPtr doc = xmlReadFile(path, NULL, XML_PARSE_NONET);
    ck_assert_msg(doc != NULL, "%s does not parse", path);
    xmlNode *root = xmlDocGetRootElement(doc), *suite = root->children;
    while (suite != NULL && suite->type != XML_ELEMENT_NODE) suite = suite->next;
    ck_assert_ptr_nonnull(suite);
    ck_assert_int_eq(count_elements(root, "testcase"), QP_CK_RULES + 1);
    ck_assert_int_eq(number_of(suite, "tests"), QP_CK_RULES + 1);
    ck_assert_int_eq(count_elements(root, "failure"), failures);
    ck_assert_int_eq(number_of(suite, "failures"), failures);
    ck_assert_int_eq(count_elements(root, "skipped"), number_of(suite, "skipped"));
    xmlFreeDoc(doc);
}

START_TEST(junit_has_a_testcase_per_rule_and_is_red_whenever_the_exit_code_is) {
    const char *path = cli_path(&r, "junit.xml");
    cli(&r, "verify", sound, "--junit", path, NULL);
    cli_wants(&r, 0);
    junit_is(path, 0);
    cli(&r, "verify", original, "--junit", path, NULL);
    cli_wants(&r, 6);
    junit_is(path, 1);
    names_of_nothing(1);
    wrong_total_size();
    cli(&r, "verify", sound, "--junit", path, NULL);
    cli_wants(&r, 1);
    junit_is(path, 2);
    const char *xml = cli_read(r.arena, path);
    ck_assert_ptr_nonnull(strstr(xml, "<failure type=\"error\""));
    ck_assert_ptr_nonnull(strstr(xml, "<failure type=\"warning\""));
    ck_assert_ptr_nonnull(strstr(xml, "model.layers.0.ghost: the index says"));
}
END_TEST

// ---- --allow
// --------------------------------------------------------------------------------------------------------------

START_TEST(allow_moves_findings_with_their_reason_and_the_exit_code_follows) {
    names_of_nothing(3);
    cli(&r, "verify", sound, "--json", "--allow", "index-shards:*.1.ghost:known, see ticket: 7", NULL);
    cli_wants(&r, 1);
    json_t *answer = json_answer(), *allowed = json_object_get(answer, "allowed");
    ck_assert_int_eq((int)json_array_size(allowed), 1);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(allowed, 0), "tensor")),
                     "model.layers.1.ghost");
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(allowed, 0), "reason")),
                     "known, see ticket: 7");
    ck_assert_int_eq(
        (int)json_integer_value(json_object_get(json_object_get(answer, "counts"), "index-shards")), 2);
    json_decref(answer);
    const char *junit = cli_path(&r, "junit.xml");
    cli(&r, "verify", sound, "--allow", "index-shards:*.ghost:known", "--junit", junit, NULL);
    cli_wants(&r, 0);
    cli_says(&r, "\nallowed: 3\n  index-shards 3, the first model.layers.0.ghost: known\n");
    junit_is(junit, 0);
}
END_TEST

START_TEST(an_allow_that_moves_nothing_is_said_to_be_stale) {
    names_of_nothing(1);
    const char *file = cli_path(&r, "allow.txt");
    cli_write(file,
              "# what we know of\n\n  index-shards:*.ghost:known \r\nscale-nan:*.lm_head:was so once\n");
    cli(&r, "verify", sound, "--allow-file", file, NULL);
    cli_wants(&r, 0);
    cli_says(&r,
             cli_text(r.arena, "stale: %s:4 'scale-nan:*.lm_head:was so once' matches nothing here\n", file));
    ck_assert_ptr_null(strstr(r.out, "stale: --allow"));
    ck_assert_ptr_null(strstr(r.out, "allow.txt:3"));
    cli(&r, "verify", sound, "--json", "--allow-file", file, NULL);
    json_decref(json_answer());
    ck_assert_ptr_nonnull(strstr(r.err, "stale: "));
}
END_TEST

START_TEST(what_a_config_says_reaches_no_terminal_unescaped) {
    const char *path = cli_path(&r, "sound/hf_quant_config.json");
    json_t *config = json_load_file(path, 0, NULL), *q = json_object_get(config, "quantization");
    ck_assert_int_eq(json_object_set_new(q, "quant_algo", json_string("X\x1b[31m")), 0);
    ck_assert_int_eq(json_dump_file(config, path, 0), 0);
    json_decref(config);
    cli(&r, "verify", sound, NULL);
    cli_says(&r, "X\\u001b[31m");
    ck_assert_ptr_null(strchr(r.out, '\x1b'));
    ck_assert_ptr_null(strchr(r.err, '\x1b'));
}
END_TEST

// ---- the command line
// -----------------------------------------------------------------------------------------------------

static const struct {
    const char *words[3];
    const char *says;
} bad[] = {
    {{"--allow", "index-shards:*"}, "--allow: wanted RULE:PATTERN:reason, got 'index-shards:*'"},
    {{"--allow", "index-shards:*:  "}, "wanted RULE:PATTERN:reason"},
    {{"--allow", "index-shards::why"}, "wanted RULE:PATTERN:reason"},
    {{"--allow", ":*:why"}, "wanted RULE:PATTERN:reason"},
    {{"--allow", "index-shard:*:why"}, "got 'index-shard', did you mean 'index-shards'?"},
    {{"--allow"}, "--allow: a value is missing"},
    {{"--allow-file", "/no/such/file"}, "/no/such/file"},
    {{"--explain", "scale-nam"}, "got 'scale-nam', did you mean 'scale-nan'?"},
    {{"--agianst", "x"}, "unknown option '--agianst', did you mean '--against'?"},
    {{"--threads", "0"}, "--threads: wanted a number from 1 to 4096, got '0'"},
    {{"--max-per-rule", "some"}, "--max-per-rule: wanted a number from 0"},
    {{"--statistics"}, "--statistics: wanted --json beside it"},
    {{"--json=1"}, "--json=1: takes no value"},
    {{"-xz"}, "unknown option '-x'"},
    {{"elsewhere"}, "one path wanted, got"},
};

START_TEST(a_bad_word_exits_2_with_wanted_and_got) {
    const char *const *w = bad[_i].words;
    cli(&r, "verify", sound, w[0], w[1], NULL);
    cli_wants(&r, 2);
    cli_says(&r, bad[_i].says);
    ck_assert_str_eq(r.out, "");
}
END_TEST

START_TEST(without_a_path_it_says_so) {
    cli(&r, "verify", NULL);
    cli_wants(&r, 2);
    cli_says(&r, "a path is missing");
    cli(&r, "verify", "--help", NULL);
    cli_wants(&r, 0);
    cli_says(&r, "exit: 0 nothing worse than a note, 1 an error, 4 a warning");
}
END_TEST

START_TEST(rules_lists_every_rule_and_explain_tells_each) {
    cli(&r, "verify", "--rules", NULL);
    cli_wants(&r, 0);
    const char *rules = r.out;
    for (int i = 0; i < QP_CK_RULES; i++) {
        ck_assert_msg(strstr(rules, cli_text(r.arena, " %s ", qp_ck_rules[i].id)) != NULL, "%s: %s",
                      qp_ck_rules[i].id, rules);
        if (i % 7 != 0) continue;
        cli(&r, "verify", "--explain", qp_ck_rules[i].id, NULL);
        cli_wants(&r, 0);
        cli_says(
            &r, cli_text(r.arena, "%s (%s)\n", qp_ck_rules[i].id, qp_severity_name(qp_ck_rules[i].severity)));
        cli_says(&r, "\n  effect ");
    }
}
END_TEST

static int lines_with(const char *text, const char *what) {
    int n = 0;
    for (const char *p = text; (p = strstr(p, what)) != NULL; p++) n++;
    return n;
}

START_TEST(the_text_shows_the_first_of_many_by_number_and_counts_all) {
    names_of_nothing(12);
    cli(&r, "verify", sound, NULL);
    ck_assert_int_eq(lines_with(r.out, "  index-shards  "), 5);
    ck_assert_int_eq(lines_with(r.out, "effect: "), 1);
    cli_says(&r, "         and 7 more index-shards\n");
    cli(&r, "verify", sound, "--max-per-rule", "2", NULL);
    ck_assert_int_eq(lines_with(r.out, "  index-shards  "), 2);
    cli_says(&r, "and 10 more index-shards\n");
    cli(&r, "verify", sound, "--max-per-rule", "0", NULL);
    ck_assert_int_eq(lines_with(r.out, "  index-shards  "), 12);
    const char *two = strstr(r.out, "layers.2.ghost"), *ten = strstr(r.out, "layers.10.ghost");
    ck_assert(two != NULL && ten != NULL && two < ten);
}
END_TEST

// ---- a file that is cut while it is mapped
// ---------------------------------------------------------------------------------

START_TEST(a_mapped_file_that_is_cut_short_is_named_and_exits_2) {
    enum { SIZE = 1 << 16, AT = 40961 };
    const char *path = cli_path(&r, "cut"), *said = cli_path(&r, "said");
    cli_write(path, "x");
    ck_assert_int_eq(truncate(path, SIZE), 0);
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        const int fd = open(path, O_RDONLY);
        const volatile char *map = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
        if (freopen(said, "w", stderr) == NULL || map == MAP_FAILED || truncate(path, 100) != 0) _exit(90);
        qp_mapped_guard("quantproof verify");
        _exit(map[AT] == 'x' ? 91 : 92);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 2, "status %d", status);
    const char *real = realpath(path, NULL);
    ck_assert_str_eq(cli_read(r.arena, said),
                     cli_text(r.arena,
                              "quantproof verify: IO: %s: byte %d: cut short, or not readable, while it was "
                              "being read: run again when nothing writes to it\n",
                              real, AT));
}
END_TEST

int main(void) {
    Suite *s = suite_create("verify");
    TCase *c = tcase_create("verify");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 60);
    tcase_add_test(c, a_sound_checkpoint_exits_0_with_its_inventory_and_says_what_it_cannot_see);
    tcase_add_test(c, a_checkpoint_without_quantization_exits_6);
    tcase_add_test(c, a_warning_exits_4_and_an_error_beside_it_1);
    tcase_add_test(c, a_broken_shard_is_an_error_and_the_other_one_is_still_audited);
    tcase_add_test(c, what_is_no_checkpoint_exits_2_and_names_the_path);
    tcase_add_test(c, strictly_what_is_tolerated_is_an_error);
    tcase_add_test(c, an_answer_that_cannot_be_written_is_no_answer);
    tcase_add_test(c, an_original_that_cannot_be_read_is_never_a_silent_pass);
    tcase_add_test(c, json_is_the_object_of_the_schema_in_a_stable_order);
    tcase_add_test(c, statistics_and_against_are_in_the_object_when_asked_for);
    tcase_add_test(c, junit_has_a_testcase_per_rule_and_is_red_whenever_the_exit_code_is);
    tcase_add_test(c, allow_moves_findings_with_their_reason_and_the_exit_code_follows);
    tcase_add_test(c, an_allow_that_moves_nothing_is_said_to_be_stale);
    tcase_add_test(c, what_a_config_says_reaches_no_terminal_unescaped);
    tcase_add_loop_test(c, a_bad_word_exits_2_with_wanted_and_got, 0, QP_COUNT(bad));
    tcase_add_test(c, without_a_path_it_says_so);
    tcase_add_test(c, rules_lists_every_rule_and_explain_tells_each);
    tcase_add_test(c, the_text_shows_the_first_of_many_by_number_and_counts_all);
    tcase_add_test(c, a_mapped_file_that_is_cut_short_is_named_and_exits_2);
    suite_add_tcase(s, c);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
