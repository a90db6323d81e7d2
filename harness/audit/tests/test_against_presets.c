// SPDX-License-Identifier: Apache-2.0
// --against over dialects, layouts and names: tensors laid out here as each dialect has them, with codes and
// scales of the reference. A planted code must be found in each: a preset that judges nothing would fit too.
#include "against_kit.h"

#define DOWN "model.layers.0.mlp.down_proj"
enum { OUT = 128, IN = 256 };

static kit k;

static void setup(void) {
    kit_new(&k);
}

static void teardown(void) {
    kit_free(&k);
}

typedef struct preset {
    const char *config, *engine; // engine: that must be named
    qp_format format;
    qp_engine by;
    const char *codes, *scales; // suffixes
    qp_dtype code_type, scale_type;
    int64_t group;     // columns of a scale; 0: see rows
    int64_t tile_rows; // rows of a scale
    int n_scale_dims;  // 0: a scalar; 1: [rows]; 2; 4: [r, 1, c, 1]
    float divisor;     // given scales: amax / divisor
    bool narrow;       // the quotient is BF16
} preset;

#define CT_CONFIG(format, args)                                                                              \
    "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"" format                 \
    "\",\"quantization_status\":\"compressed\",\"ignore\":[],\"config_groups\":{\"group_0\":{"               \
    "\"targets\":[\"Linear\"],\"weights\":{" args "}}}}}"
#define MODELOPT KIT_MODELOPT

static const preset presets[] = {
    {MODELOPT("FP8", "0"), "torch-cpu", QP_FP8_EXPORT, QP_ENGINE_TORCH_CPU, ".weight", ".weight_scale",
     QP_E4M3, QP_FP32, IN, OUT, 0, 448, true},
    {MODELOPT("FP8_PER_CHANNEL_PER_TOKEN", "0"), "torch-cpu", QP_FP8_EXPORT, QP_ENGINE_TORCH_CPU, ".weight",
     ".weight_scale", QP_E4M3, QP_FP32, IN, 1, 1, 448, false},
    {MODELOPT("fp8_pb_wo", "0"), "torch-cpu", QP_FP8_EXPORT, QP_ENGINE_TORCH_CPU, ".weight", ".weight_scale",
     QP_E4M3, QP_FP32, 128, 128, 4, 448, false},
    {MODELOPT("W8A16", "0"), "torch-cpu", QP_INT8_EXPORT, QP_ENGINE_TORCH_CPU, ".weight", ".weight_scale",
     QP_I8, QP_FP32, IN, 1, 1, 127, false},
    {MODELOPT("W4A16_AWQ", "128"), "torch-cpu", QP_INT4_AWQ, QP_ENGINE_TORCH_CPU, ".weight", ".weight_scale",
     QP_U8, QP_FP32, 128, 1, 2, 7, false},
    {MODELOPT("mxfp4", "32"), "torch-cpu", QP_MXFP4, QP_ENGINE_TORCH_CPU, ".weight", ".weight_scale", QP_U8,
     QP_U8, 32, 1, 2, 0, false},
    {MODELOPT("MXFP8", "32"), "torch-cpu", QP_MXFP8_E4M3, QP_ENGINE_TORCH_CPU, ".weight", ".weight_scale",
     QP_E4M3, QP_U8, 32, 1, 2, 0, false},
    {CT_CONFIG("mxfp4-pack-quantized",
               "\"num_bits\":4,\"type\":\"float\",\"strategy\":\"group\",\"group_size\":32"),
     "compressed-tensors", QP_MXFP4, QP_ENGINE_COMPRESSED_TENSORS, ".weight_packed", ".weight_scale", QP_U8,
     QP_U8, 32, 1, 2, 0, false},
    {CT_CONFIG("pack-quantized", "\"num_bits\":4,\"type\":\"int\",\"strategy\":\"group\",\"group_size\":32"),
     "compressed-tensors", QP_INT4_BLOCK, QP_ENGINE_COMPRESSED_TENSORS, ".weight_packed", ".weight_scale",
     QP_I32, QP_BF16, 32, 1, 2, 0, false},
    {CT_CONFIG("int-quantized", "\"num_bits\":8,\"type\":\"int\",\"strategy\":\"channel\""),
     "compressed-tensors", QP_INT8_AXIS0, QP_ENGINE_COMPRESSED_TENSORS, ".weight", ".weight_scale", QP_I8,
     QP_BF16, IN, 1, 2, 0, false},
    {CT_CONFIG("float-quantized", "\"num_bits\":8,\"type\":\"float\",\"strategy\":\"channel\""),
     "compressed-tensors", QP_FP8_AXIS0, QP_ENGINE_COMPRESSED_TENSORS, ".weight", ".weight_scale", QP_E4M3,
     QP_BF16, IN, 1, 2, 0, false},
    {"{\"quantization_config\":{\"quant_method\":\"fp8\",\"fmt\":\"e4m3\",\"weight_block_size\":[128,128]}}",
     "deepseek-fp8", QP_FP8_BLOCK2D, QP_ENGINE_DEEPSEEK_FP8, ".weight", ".weight_scale_inv", QP_E4M3, QP_FP32,
     128, 128, 2, 0, false},
};

static int64_t ceil_of(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

static void scale_dims(const preset *p, int64_t *dims) {
    const int64_t rows = ceil_of(OUT, p->tile_rows), cols = ceil_of(IN, p->group);
    dims[0] = rows;
    dims[1] = p->n_scale_dims == 4 ? 1 : cols;
    dims[2] = cols;
    dims[3] = 1;
}

// FP8 per tensor is not an answer of one call: the quotient is rounded to BF16 (shapes spec 2.2).
static void narrow_codes(const uint16_t *w, uint32_t scale, uint8_t *codes) {
    for (int i = 0; i < OUT * IN; i++) {
        const uint32_t q = ref_from_f32(QP_BF16, ref_div((uint32_t)w[i] << 16, scale));
        codes[i] = ref_e4m3_encode(q << 16, true);
    }
}

static void quantize(const preset *p, const uint16_t *w, uint8_t *codes, void *scales) {
    const int64_t cols = ceil_of(IN, p->group), n = ceil_of(OUT, p->tile_rows) * cols;
    uint32_t amax[OUT * IN / 16], *given = scales;
    ref_spec s = {
        .format = p->format, .engine = p->by, .dtype = QP_BF16, .rows = OUT, .cols = IN, .amax = amax};
    const float divisor = p->divisor;
    uint32_t d;
    memcpy(&d, &divisor, sizeof d);
    ref_amax(QP_GRAIN_BLOCK2D, QP_BF16, OUT, IN, p->tile_rows, p->group, w, amax);
    if (p->group < IN) s.block_cols = p->group;
    if (divisor == 0) {
        ref_quant(&s, 0, OUT, w, codes, scales, NULL, NULL);
        return;
    }
    for (int64_t i = 0; i < n; i++) given[i] = ref_div(amax[i], d);
    if (p->narrow) {
        narrow_codes(w, given[0], codes);
        return;
    }
    s.scale = given;
    if (p->format != QP_FP8_EXPORT) { // one scale per row or block
        ref_quant(&s, 0, OUT, w, codes, NULL, NULL, NULL);
        return;
    }
    s.rows = 1;
    s.cols = p->group;
    for (int64_t r = 0; r < OUT; r++) {
        for (int64_t c = 0; c < cols; c++) {
            s.scale = &given[r / p->tile_rows * cols + c];
            ref_quant(&s, 0, 1, w + r * IN + c * p->group, codes + r * IN + c * p->group, NULL, NULL, NULL);
        }
    }
}

static void lay_out(const preset *p, uint64_t seed) {
    const uint16_t *w = kit_weights(&k, seed, OUT * IN);
    uint8_t *codes = kit_get(&k, OUT * IN);
    void *scales = kit_get(&k, OUT * IN);
    int64_t dims[4], code_dims[2] = {OUT, IN};
    quantize(p, w, codes, scales);
    scale_dims(p, dims);
    if (p->code_type == QP_U8) code_dims[p->format == QP_INT4_AWQ ? 0 : 1] /= 2;
    if (p->code_type == QP_I32) code_dims[1] /= 8;
    kit_weight(&k, DOWN, w, OUT, IN);
    kit_quantized(&k, kit_name(&k, DOWN, p->codes), p->code_type, 2, code_dims, codes);
    kit_quantized(&k, kit_name(&k, DOWN, p->scales), p->scale_type, p->n_scale_dims, dims, scales);
    if (p->code_type == QP_I32) {
        int64_t *shape = kit_get(&k, 2 * sizeof *shape);
        shape[0] = OUT;
        shape[1] = IN;
        kit_quantized(&k, kit_name(&k, DOWN, ".weight_shape"), QP_I64, 1, (int64_t[]){2}, shape);
    }
    k.config = p->config;
}

START_TEST(every_preset_fits_and_one_planted_code_is_found) {
    const preset *p = &presets[_i];
    lay_out(p, 50 + (uint64_t)_i);
    const qp_against *g = kit_run(&k);
    ck_assert_msg(g->judged == 1, "%s: %llu judged: %s", p->config, (unsigned long long)g->judged,
                  g->n_rows > 0 && g->rows[0].skipped != NULL ? g->rows[0].skipped : "no row");
    ck_assert_msg(g->mismatched == 0, "%s: %s", p->config,
                  k.u.findings.n > 0 ? k.u.findings.list[0].detail : "");
    ck_assert_str_eq(g->engine, p->engine);
    ck_assert_uint_eq(g->rows[0].n_codes, OUT * IN);
    ck_assert_uint_eq(g->loss.linears, 0); // of NVFP4 alone
    ck_assert_double_eq(g->rows[0].loss_ratio, 0);
    ck_assert_uint_eq(g->rows[0].n_scales, (uint64_t)(ceil_of(OUT, p->tile_rows) * ceil_of(IN, p->group)));
    uint8_t *codes = kit_data(&k, kit_name(&k, DOWN, p->codes));
    codes[17] ^= 0x01;
    ck_assert_uint_eq(kit_run(&k)->mismatched, 1);
    const qp_against_row *r = kit_row(&k, DOWN);
    ck_assert_uint_eq(r->codes_differ, 1);
    ck_assert_uint_eq(r->scales_differ, 0);
    ck_assert_str_eq(r->class, "one code");
    ck_assert_uint_eq(kit_errors(&k), 1);
}
END_TEST

// ---- names
// -------------------------------------------------------------------------------------------------------------------

static void nvfp4(const char *module, const uint16_t *w, int64_t out, int64_t in, uint32_t amax) {
    const ref_spec s = {.format = QP_NVFP4, .engine = QP_ENGINE_TORCH_CPU, .global_amax = amax};
    kit_nvfp4(&k, module, w, out, in, &s);
    k.config = KIT_MODELOPT("NVFP4", "16");
}

START_TEST(renamed_modules_are_found) {
    static const char *const names[][2] = {
        {"model.layers.0.block_sparse_moe.experts.1.w2", "model.layers.0.mlp.experts.1.down_proj"},
        {"model.layers.0.mlp.experts.1.down_proj", "model.layers.0.block_sparse_moe.experts.1.w2"},
        {"model.language_model.layers.0.mlp.down_proj", "model.layers.0.mlp.down_proj"},
        {"model.layers.0.mlp.down_proj", "language_model.model.layers.0.mlp.down_proj"},
        {"backbone.layers.0.mixer.out_proj", "model.layers.0.mixer.out_proj"},
    };
    for (int i = 0; i < QP_COUNT(names); i++) {
        const uint16_t *w = kit_weights(&k, 60 + (uint64_t)i, OUT * IN);
        k.n_quantized = k.n_original = 0;
        nvfp4(names[i][0], w, OUT, IN, kit_amax(w, OUT * IN));
        kit_weight(&k, names[i][1], w, OUT, IN);
        const qp_against *g = kit_run(&k);
        ck_assert_msg(g->judged == 1 && g->mismatched == 0, "%s", names[i][0]);
    }
}
END_TEST

// Experts one by one here, stacked there: [E, gate rows then up rows, in], and gpt-oss's [E, in, rows taking
// turns].
static void stacked(bool transposed, bool interleaved) {
    enum { EXPERTS = 2, H = 64 };
    const uint16_t *gate[EXPERTS], *up[EXPERTS];
    uint16_t *stack = kit_get(&k, sizeof *stack * EXPERTS * 2 * H * IN);
    for (int e = 0; e < EXPERTS; e++) {
        const char *name[2];
        gate[e] = kit_weights(&k, 70 + (uint64_t)e, H * IN);
        up[e] = kit_weights(&k, 80 + (uint64_t)e, H * IN);
        const uint32_t amax = ref_max_image(kit_amax(gate[e], H * IN), kit_amax(up[e], H * IN));
        for (int half = 0; half < 2; half++) {
            ck_assert_int_eq(qp_arena_printf(k.a, &name[half], &k.err, "model.layers.0.mlp.experts.%d.%s", e,
                                             half == 0 ? "gate_proj" : "up_proj"),
                             QP_OK);
            nvfp4(name[half], half == 0 ? gate[e] : up[e], H, IN, amax);
            for (int r = 0; r < H; r++) {
                for (int c = 0; c < IN; c++) {
                    const int row = interleaved ? 2 * r + half : half * H + r;
                    const int at = transposed ? c * 2 * H + row : row * IN + c;
                    stack[e * 2 * H * IN + at] = (half == 0 ? gate[e] : up[e])[r * IN + c];
                }
            }
        }
    }
    const int64_t dims[3] = {EXPERTS, transposed ? IN : 2 * H, transposed ? 2 * H : IN};
    kit_original(&k, "model.layers.0.mlp.experts.gate_up_proj", 3, dims, stack);
}

START_TEST(experts_are_found_in_a_stack_however_it_lies) {
    for (int way = 0; way < 4; way++) {
        k.n_quantized = k.n_original = 0;
        stacked(way & 1, way & 2);
        const qp_against *g = kit_run(&k);
        ck_assert_uint_eq(g->judged, 4);
        ck_assert_msg(g->mismatched == 0, "way %d: %s", way, k.u.findings.list[0].detail);
    }
}
END_TEST

START_TEST(a_fused_linear_is_found_in_its_parts_and_parts_in_the_fused_one) {
    const uint16_t *w = kit_weights(&k, 90, 2 * OUT * IN);
    const uint32_t amax = kit_amax(w, 2 * OUT * IN);
    nvfp4("model.layers.0.mlp.gate_up_proj", w, 2 * OUT, IN, amax);
    kit_weight(&k, "model.layers.0.mlp.gate_proj", w, OUT, IN);
    kit_weight(&k, "model.layers.0.mlp.up_proj", w + OUT * IN, OUT, IN);
    const qp_against *g = kit_run(&k);
    ck_assert_uint_eq(g->judged, 1);
    ck_assert_uint_eq(g->mismatched, 0);
    k.n_quantized = k.n_original = 0;
    nvfp4("model.layers.0.self_attn.q_proj", w, OUT, IN, amax);
    nvfp4("model.layers.0.self_attn.k_proj", w + OUT * IN, OUT / 2, IN, amax);
    nvfp4("model.layers.0.self_attn.v_proj", w + OUT * IN * 3 / 2, OUT / 2, IN, amax);
    kit_weight(&k, "model.layers.0.self_attn.qkv_proj", w, 2 * OUT, IN);
    g = kit_run(&k);
    ck_assert_uint_eq(g->judged, 3);
    ck_assert_uint_eq(g->mismatched, 0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("against_presets");
    TCase *t = tcase_create("against_presets");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, every_preset_fits_and_one_planted_code_is_found, 0, QP_COUNT(presets));
    tcase_add_test(t, renamed_modules_are_found);
    tcase_add_test(t, experts_are_found_in_a_stack_however_it_lies);
    tcase_add_test(t, a_fused_linear_is_found_in_its_parts_and_parts_in_the_fused_one);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
