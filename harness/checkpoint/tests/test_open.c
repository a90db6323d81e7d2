// SPDX-License-Identifier: Apache-2.0
// Opening what lies in the wild: whatever is wrong with one file is named, and the rest is still there.
#include <fcntl.h>
#include <sys/stat.h>

#include "checkpoint/tests/open_files.h"

static opened o;

#define INDEX "model.safetensors.index.json"
#define S1 "model-00001-of-00002.safetensors"
#define S2 "model-00002-of-00002.safetensors"
#define MAP(entries) "{\"metadata\":{\"total_size\":16},\"weight_map\":{" entries "}}"
#define SOUND MAP("\"a\":\"" S1 "\",\"b\":\"" S1 "\",\"c\":\"" S2 "\",\"d\":\"" S2 "\"")

// Two shards of two tensors each, and their index.
static void setup(void) {
    files_make(&o);
    put_shard(&o, S1, "a b", 0);
    put_shard(&o, S2, "c d", 0);
    put_text(&o, INDEX, SOUND);
    put_text(&o, "config.json", "{}");
}

static void teardown(void) {
    files_drop(&o);
}

static void link_to(const char *target, const char *name) {
    (void)unlink(file_path(&o, name));
    ck_assert_int_eq(symlink(target, file_path(&o, name)), 0);
}

START_TEST(two_shards_and_their_index_open_without_a_finding) {
    open_it(&o, "");
    opens(&o, 4);
    finds_only(&o, 0);
    ck_assert_uint_eq(o.ckpt.n_bytes, 16);
    ck_assert_int_eq((int)o.findings.n, 0);
    const qp_ck_tensor *t = qp_ck_find(&o.ckpt, "c", 1);
    ck_assert_ptr_nonnull(t);
    ck_assert_str_eq(o.ckpt.files[t->file].name, S2);
    ck_assert_ptr_null(qp_ck_find(&o.ckpt, "cc", 2));
}
END_TEST

// ---- shards
// --------------------------------------------------------------------------------------------------------------

START_TEST(a_truncated_shard_is_named_and_the_other_one_is_read) {
    put_shard(&o, S1, "a b", -1);
    open_it(&o, "");
    opens(&o, 2);
    finds(&o, QP_CK_FILE_FORMAT, S1, "8");
    finds_only(&o, 1);
}
END_TEST

START_TEST(trailing_bytes_are_named) {
    put_shard(&o, S2, "c d", 3);
    open_it(&o, "");
    opens(&o, 2);
    finds(&o, QP_CK_FILE_FORMAT, S2, "3 bytes after the last tensor");
    finds_only(&o, 1);
}
END_TEST

START_TEST(an_empty_shard_and_a_shard_of_seven_bytes_are_named) {
    put_bytes(&o, S1, "", 0);
    put_bytes(&o, S2, "1234567", 7);
    open_it(&o, "");
    opens(&o, 0);
    finds(&o, QP_CK_FILE_FORMAT, S1, "at least 8 bytes wanted, the file has 0");
    finds(&o, QP_CK_FILE_FORMAT, S2, "at least 8 bytes wanted, the file has 7");
    finds_only(&o, 2);
}
END_TEST

START_TEST(a_header_that_claims_exabytes_is_refused_before_any_memory_is_asked_for) {
    uint64_t length = 0x7fffffffffffffffu;
    put_bytes(&o, S1, &length, sizeof length);
    const size_t before = qp_arena_used(o.arena);
    open_it(&o, "");
    opens(&o, 2);
    finds(&o, QP_CK_FILE_FORMAT, S1, "header length: at most 100000000 wanted");
    ck_assert_uint_lt(qp_arena_used(o.arena) - before, 1u << 16);
}
END_TEST

START_TEST(a_header_that_is_no_utf8_is_named) {
    static const char bytes[] = "\x0a\0\0\0\0\0\0\0{\"\xff\xfe\":1}  ";
    put_bytes(&o, S1, bytes, sizeof bytes - 1);
    open_it(&o, "");
    opens(&o, 2);
    finds(&o, QP_CK_FILE_FORMAT, S1, "UTF-8");
}
END_TEST

static const char lfs[] = "version https://git-lfs.github.com/spec/v1\noid sha256:"
                          "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

START_TEST(git_lfs_pointers_are_called_so_as_shard_config_and_index) {
    put_text(&o, S1, lfs);
    put_text(&o, "config.json", lfs);
    open_it(&o, "");
    opens(&o, 2);
    finds(&o, QP_CK_FILE_FORMAT, S1, "Git LFS pointer");
    finds(&o, QP_CK_FILE_FORMAT, "config.json", "Git LFS pointer");
    finds_only(&o, 2);
    put_shard(&o, S1, "a b", 0);
    put_text(&o, "config.json", "{}");
    put_text(&o, INDEX, lfs);
    open_it(&o, "");
    opens(&o, 4);
    finds(&o, QP_CK_FILE_FORMAT, INDEX, "Git LFS pointer");
    finds_only(&o, 1);
}
END_TEST

START_TEST(a_tensor_in_two_shards_is_kept_once_and_named_with_both) {
    put_shard(&o, S2, "c d a", 0);
    open_it(&o, "");
    opens(&o, 4);
    finds(&o, QP_CK_INDEX_SHARDS, "a", "is in " S1 " and in " S2);
    ck_assert_str_eq(o.ckpt.files[qp_ck_find(&o.ckpt, "a", 1)->file].name, S1);
}
END_TEST

// ---- the index
// -----------------------------------------------------------------------------------------------------------

START_TEST(a_shard_that_the_index_names_and_nobody_has_is_named) {
    ck_assert_int_eq(unlink(file_path(&o, S2)), 0);
    open_it(&o, "");
    opens(&o, 2);
    finds(&o, QP_CK_INDEX_SHARDS, S2, "names this file, it is not there");
}
END_TEST

START_TEST(a_tensor_said_to_be_in_another_shard_is_named) {
    put_text(&o, INDEX, MAP("\"a\":\"" S1 "\",\"b\":\"" S2 "\",\"c\":\"" S2 "\",\"d\":\"" S2 "\""));
    open_it(&o, "");
    opens(&o, 4);
    finds(&o, QP_CK_INDEX_SHARDS, "b", "is in " S1 ", the index says " S2);
    finds_only(&o, 1);
}
END_TEST

START_TEST(tensors_known_to_the_index_or_to_the_shards_alone_are_named) {
    put_text(&o, INDEX, MAP("\"a\":\"" S1 "\",\"c\":\"" S2 "\",\"d\":\"" S2 "\",\"e\":\"" S2 "\""));
    open_it(&o, "");
    opens(&o, 4);
    finds(&o, QP_CK_INDEX_SHARDS, "b", "is in " S1 ", and not in the index");
    finds(&o, QP_CK_INDEX_SHARDS, "e", "the index says " S2 ", it is in no shard");
    finds_only(&o, 2);
}
END_TEST

START_TEST(nothing_outside_the_folder_is_opened) {
    static const char *const places[] = {"../" S1, "/etc/passwd", "sub/" S1, "..", ".", "", "a\\u0000b"};
    for (int i = 0; i < QP_COUNT(places); i++) {
        const char *text = NULL;
        ck_assert(qp_arena_printf(o.arena, &text, NULL,
                                  MAP("\"a\":\"%s\",\"b\":\"" S1 "\",\"c\":\"" S2 "\",\"d\":\"" S2 "\""),
                                  places[i]) == QP_OK);
        put_text(&o, INDEX, text);
        open_it(&o, "");
        opens(&o, 4);
        finds(&o, QP_CK_INDEX_SHARDS, "a", "a plain file name was wanted");
        finds(&o, QP_CK_INDEX_SHARDS, "a", "not in the index");
        ck_assert_int_eq(o.ckpt.n_files, 2);
    }
}
END_TEST

START_TEST(an_inverted_index_is_called_so_and_the_shards_are_read) {
    put_text(&o, INDEX, "{\"weight_map\":{\"" S1 "\":[\"a\",\"b\"],\"" S2 "\":[\"c\",\"d\"]}}");
    open_it(&o, "");
    opens(&o, 4);
    finds(&o, QP_CK_INDEX_SHARDS, INDEX, "for '" S1 "' was wanted, got a list (an inverted map");
    finds(&o, QP_CK_INDEX_SHARDS, INDEX, "for '" S2 "' was wanted, got a list (an inverted map");
    finds_only(&o, 2);
}
END_TEST

START_TEST(an_index_without_metadata_is_fine_and_without_a_map_it_is_not) {
    put_text(&o, INDEX,
             "{\"weight_map\":{\"a\":\"" S1 "\",\"b\":\"" S1 "\",\"c\":\"" S2 "\",\"d\":\"" S2 "\"}}");
    open_it(&o, "");
    opens(&o, 4);
    finds_only(&o, 0);
    put_text(&o, INDEX, "{\"metadata\":{}}");
    open_it(&o, "");
    opens(&o, 4);
    finds(&o, QP_CK_INDEX_SHARDS, INDEX, "weight_map: an object was wanted");
    finds_only(&o, 1);
}
END_TEST

START_TEST(a_wrong_total_size_is_only_a_warning_with_both_numbers) {
    put_text(&o, INDEX,
             "{\"metadata\":{\"total_size\":17},\"weight_map\":{\"a\":\"" S1 "\",\"b\":\"" S1 "\",\"c\":\"" S2
             "\",\"d\":\"" S2 "\"}}");
    open_it(&o, "");
    opens(&o, 4);
    finds(&o, QP_CK_TOLERATED_FORMAT, INDEX, "16 wanted (the bytes of all tensors), got 17");
    finds_only(&o, 1);
}
END_TEST

START_TEST(shards_without_an_index_are_read_and_its_absence_is_named) {
    ck_assert_int_eq(unlink(file_path(&o, INDEX)), 0);
    open_it(&o, "");
    opens(&o, 4);
    finds(&o, QP_CK_INDEX_SHARDS, INDEX, "missing beside 2 shards");
    finds_only(&o, 1);
}
END_TEST

START_TEST(files_that_no_loader_opens_are_notes) {
    put_shard(&o, "old.safetensors", "a z", 0);
    put_text(&o, ".hidden.safetensors", "no loader sees it");
    open_it(&o, "");
    opens(&o, 4);
    finds(&o, QP_CK_LEFTOVER_FILE, "old.safetensors", "does not name it");
    ck_assert_int_eq((int)o.findings.n, 1);
    ck_assert_int_eq(unlink(file_path(&o, INDEX)), 0);
    put_shard(&o, "model.safetensors", "a b", 0);
    open_it(&o, "");
    opens(&o, 2);
    finds(&o, QP_CK_LEFTOVER_FILE, S1, "model.safetensors is the checkpoint");
    finds_only(&o, 0);
}
END_TEST

// ---- what is no regular file
// ---------------------------------------------------------------------------------------------

START_TEST(links_of_a_hub_cache_are_followed) {
    ck_assert(qp_dir_make(file_path(&o, "blobs"), NULL) == QP_OK);
    ck_assert(qp_dir_make(file_path(&o, "snapshots/x"), NULL) == QP_OK);
    static const char *const names[] = {S1, S2, INDEX, "config.json"};
    for (int i = 0; i < QP_COUNT(names); i++) {
        const char *blob = NULL, *target = NULL, *link = NULL;
        ck_assert(qp_arena_printf(o.arena, &blob, NULL, "blobs/%d", i) == QP_OK);
        ck_assert(qp_arena_printf(o.arena, &target, NULL, "../../blobs/%d", i) == QP_OK);
        ck_assert(qp_arena_printf(o.arena, &link, NULL, "snapshots/x/%s", names[i]) == QP_OK);
        ck_assert_int_eq(rename(file_path(&o, names[i]), file_path(&o, blob)), 0);
        link_to(target, link);
    }
    open_it(&o, "snapshots/x");
    opens(&o, 4);
    ck_assert_int_eq((int)o.findings.n, 0);
    ck_assert_ptr_nonnull(o.ckpt.config.root);
    open_it(&o, "snapshots/x/" S1);
    opens(&o, 2);
    open_it(&o, "snapshots/x/" INDEX);
    opens(&o, 4);
}
END_TEST

START_TEST(link_loops_and_dangling_links_are_named) {
    link_to(S1, S1);
    link_to("nowhere", S2);
    link_to("config.json", "config.json");
    link_to("nowhere", "hf_quant_config.json");
    open_it(&o, "");
    opens(&o, 0);
    finds(&o, QP_CK_FILE_FORMAT, S1, "Too many levels of symbolic links");
    finds(&o, QP_CK_FILE_FORMAT, S2, "No such file or directory");
    finds(&o, QP_CK_FILE_FORMAT, "config.json", "Too many levels of symbolic links");
    finds(&o, QP_CK_FILE_FORMAT, "hf_quant_config.json", "No such file or directory");
    finds_only(&o, 4);
    link_to("loop", "loop");
    open_it(&o, "loop");
    refuses(&o, QP_IO, "Too many levels of symbolic links");
}
END_TEST

START_TEST(pipes_folders_and_devices_are_no_shards_and_nothing_blocks) {
    ck_assert_int_eq(unlink(file_path(&o, S1)), 0);
    ck_assert_int_eq(mkfifo(file_path(&o, S1), 0600), 0);
    link_to("/dev/null", S2);
    ck_assert_int_eq(unlink(file_path(&o, "config.json")), 0);
    ck_assert_int_eq(mkfifo(file_path(&o, "config.json"), 0600), 0);
    ck_assert(qp_dir_make(file_path(&o, "hf_quant_config.json"), NULL) == QP_OK);
    open_it(&o, "");
    opens(&o, 0);
    finds(&o, QP_CK_FILE_FORMAT, S1, "is not a regular file");
    finds(&o, QP_CK_FILE_FORMAT, S2, "is not a regular file");
    finds(&o, QP_CK_FILE_FORMAT, "config.json", "is not a regular file");
    finds(&o, QP_CK_FILE_FORMAT, "hf_quant_config.json", "is not a regular file");
    finds_only(&o, 4);
    open_it(&o, S1);
    refuses(&o, QP_CORRUPT, "is not a regular file");
    ck_assert(qp_dir_make(file_path(&o, "model.safetensors"), NULL) == QP_OK);
    ck_assert_int_eq(unlink(file_path(&o, INDEX)), 0);
    open_it(&o, "");
    opens(&o, 0);
    finds(&o, QP_CK_FILE_FORMAT, "model.safetensors", "is not a regular file");
}
END_TEST

START_TEST(a_shard_that_changes_after_it_was_mapped_is_named) {
    open_it(&o, "");
    ck_assert(qp_ck_check_unchanged(&o.ckpt, &o.findings, &o.err) == QP_OK);
    finds_only(&o, 0);
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000000000}};
    ck_assert_int_eq(utimensat(AT_FDCWD, file_path(&o, S1), times, 0), 0);
    ck_assert_int_eq(unlink(file_path(&o, S2)), 0);
    ck_assert(qp_ck_check_unchanged(&o.ckpt, &o.findings, &o.err) == QP_OK);
    finds(&o, QP_CK_FILE_FORMAT, S1, "was written while it was read");
    finds(&o, QP_CK_FILE_FORMAT, S2, "went away while it was read: No such file");
    finds_only(&o, 2);
    open_it(&o, "");
    put_shard(&o, S1, "a b", 0); // the same bytes under the same name: another file
    ck_assert(qp_ck_check_unchanged(&o.ckpt, &o.findings, &o.err) == QP_OK);
    finds(&o, QP_CK_FILE_FORMAT, S1, "was written while it was read");
}
END_TEST

// ---- paths
// ---------------------------------------------------------------------------------------------------------------

START_TEST(a_path_may_be_a_file_an_index_or_a_folder) {
    open_it(&o, S2);
    opens(&o, 2);
    ck_assert_ptr_nonnull(o.ckpt.config.root); // beside it
    open_it(&o, INDEX);
    opens(&o, 4);
    finds_only(&o, 0);
    ck_assert_int_eq(rename(file_path(&o, INDEX), file_path(&o, "other.safetensors.index.json")), 0);
    open_it(&o, "other.safetensors.index.json");
    opens(&o, 4);
    finds_only(&o, 0);
    ck_assert_int_eq(chdir(o.folder), 0);
    qp_ck_close(&o.ckpt);
    ck_assert(qp_ck_open(S1, false, o.arena, &o.findings, &o.ckpt, &o.err) == QP_OK);
    ck_assert_uint_eq(o.ckpt.n_tensors, 2);
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

START_TEST(where_nothing_can_be_a_checkpoint_the_path_is_refused) {
    open_it(&o, "no-such-thing");
    refuses(&o, QP_IO, "no-such-thing: No such file or directory");
    open_it(&o, "config.json/x");
    refuses(&o, QP_IO, "Not a directory");
    ck_assert(qp_dir_make(file_path(&o, "empty"), NULL) == QP_OK);
    open_it(&o, "empty");
    refuses(&o, QP_CORRUPT, "no safetensors file here");
    open_it(&o, "config.json");
    refuses(&o, QP_CORRUPT, "config.json");
    put_shard(&o, S1, "a b", -1);
    open_it(&o, S1);
    refuses(&o, QP_CORRUPT, S1);
}
END_TEST

START_TEST(names_on_disk_that_are_no_text_are_shown_in_printable_form) {
    ck_assert_int_eq(unlink(file_path(&o, INDEX)), 0);
    put_bytes(&o, "x\xff\x1b[2J.safetensors", "1", 1);
    open_it(&o, "");
    opens(&o, 4);
    const qp_ck_finding *f = NULL;
    for (size_t i = 0; i < o.findings.n; i++)
        if (o.findings.list[i].rule == QP_CK_FILE_FORMAT) f = &o.findings.list[i];
    ck_assert_ptr_nonnull(f);
    ck_assert_str_eq(f->tensor, "x\\xff\\u001b[2J.safetensors");
    ck_assert_ptr_nonnull(strstr(f->detail, "x\\xff\\u001b[2J.safetensors: at least 8 bytes wanted"));
}
END_TEST

// ---- tolerated
// ------------------------------------------------------------------------------------------------------------

START_TEST(what_only_python_accepts_is_a_warning_and_strictly_an_error) {
    static const char bytes[] = "\x08\0\0\0\0\0\0\0 {}     ";
    put_bytes(&o, "single.safetensors", bytes, sizeof bytes - 1);
    open_it(&o, "single.safetensors");
    opens(&o, 0);
    finds(&o, QP_CK_TOLERATED_FORMAT, "single.safetensors", "leading-space");
    finds_only(&o, 1);
    open_strictly(&o, "single.safetensors", true);
    refuses(&o, QP_CORRUPT, "leading-space");
    put_bytes(&o, S2, bytes, sizeof bytes - 1);
    open_strictly(&o, "", true);
    opens(&o, 2);
    finds(&o, QP_CK_FILE_FORMAT, S2, "leading-space");
}
END_TEST

int main(void) {
    Suite *s = suite_create("open");
    TCase *c = tcase_create("open");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 30);
    tcase_add_test(c, two_shards_and_their_index_open_without_a_finding);
    tcase_add_test(c, a_truncated_shard_is_named_and_the_other_one_is_read);
    tcase_add_test(c, trailing_bytes_are_named);
    tcase_add_test(c, an_empty_shard_and_a_shard_of_seven_bytes_are_named);
    tcase_add_test(c, a_header_that_claims_exabytes_is_refused_before_any_memory_is_asked_for);
    tcase_add_test(c, a_header_that_is_no_utf8_is_named);
    tcase_add_test(c, git_lfs_pointers_are_called_so_as_shard_config_and_index);
    tcase_add_test(c, a_tensor_in_two_shards_is_kept_once_and_named_with_both);
    tcase_add_test(c, a_shard_that_the_index_names_and_nobody_has_is_named);
    tcase_add_test(c, a_tensor_said_to_be_in_another_shard_is_named);
    tcase_add_test(c, tensors_known_to_the_index_or_to_the_shards_alone_are_named);
    tcase_add_test(c, nothing_outside_the_folder_is_opened);
    tcase_add_test(c, an_inverted_index_is_called_so_and_the_shards_are_read);
    tcase_add_test(c, an_index_without_metadata_is_fine_and_without_a_map_it_is_not);
    tcase_add_test(c, a_wrong_total_size_is_only_a_warning_with_both_numbers);
    tcase_add_test(c, shards_without_an_index_are_read_and_its_absence_is_named);
    tcase_add_test(c, files_that_no_loader_opens_are_notes);
    tcase_add_test(c, links_of_a_hub_cache_are_followed);
    tcase_add_test(c, link_loops_and_dangling_links_are_named);
    tcase_add_test(c, pipes_folders_and_devices_are_no_shards_and_nothing_blocks);
    tcase_add_test(c, a_shard_that_changes_after_it_was_mapped_is_named);
    tcase_add_test(c, a_path_may_be_a_file_an_index_or_a_folder);
    tcase_add_test(c, where_nothing_can_be_a_checkpoint_the_path_is_refused);
    tcase_add_test(c, names_on_disk_that_are_no_text_are_shown_in_printable_form);
    tcase_add_test(c, what_only_python_accepts_is_a_warning_and_strictly_an_error);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed > 0;
}
