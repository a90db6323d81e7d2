# SPDX-License-Identifier: Apache-2.0
# quantproof: one Makefile, no recursion. Writes only under $(B). 'make help' lists the targets.
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules

# ---- build directory and variant: asan and tsan are the same build with other flags in a folder of their own ---------
VARIANT := $(firstword $(filter asan tsan,$(MAKECMDGOALS)))
B ?= build$(if $(VARIANT),/$(VARIANT))
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
CXX := $(if $(filter default,$(origin CXX)),g++,$(CXX))

SAN_asan := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
SAN_tsan := -fsanitize=thread -fno-omit-frame-pointer -DQP_NO_CLONES
SAN := $(SAN_$(VARIANT))
OMP := $(if $(filter tsan,$(VARIANT)),-Wno-unknown-pragmas,-fopenmp)

PKGS := libcyaml yaml-0.1 jansson libpcre2-8 libxxhash libxml-2.0
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
CHECK_LIBS := $(shell pkg-config --libs check 2>/dev/null)
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Werror
# The arithmetic flags are part of the contract: no contraction, no fast math.
BASE := -std=c11 -g -D_GNU_SOURCE -ffp-contract=off -fno-fast-math -MMD -MP
CFLAGS ?= -O2
CF = $(BASE) $(CFLAGS) $(SAN) $(WARN)
LDLIBS := $(PKG_LIBS) -ldl -lrt -lpthread -lm

# ---- rooms of harness/ and what each may include (architecture.md, section 4); also the link order ---------------------
ROOMS := core tensor model plan input comm device subject pipeline mutants variants oracle checks judge report \
  checkpoint audit synth cmd
DEPS_core :=
DEPS_tensor := core
DEPS_model := core tensor
DEPS_plan := core tensor model
DEPS_input := core tensor model
DEPS_comm := core tensor model
DEPS_device := core tensor
DEPS_subject := core tensor device
DEPS_pipeline := core tensor model plan input comm device subject
DEPS_mutants := $(DEPS_pipeline) pipeline
DEPS_variants := core
DEPS_oracle := core tensor model input
DEPS_checks := core tensor model
DEPS_judge := core checks
DEPS_report := core checks judge
DEPS_checkpoint := core tensor
DEPS_audit := core tensor checkpoint
DEPS_synth := core tensor input
DEPS_cmd := $(filter-out cmd,$(ROOMS))
# Which sides a room's tests link beyond its own dependencies: accused (kernels), law (reference).
SIDES_device := kernels
SIDES_subject := kernels
SIDES_pipeline := kernels
SIDES_mutants := kernels
SIDES_variants := reference
SIDES_oracle := reference
SIDES_judge := reference
SIDES_checkpoint := reference
SIDES_audit := reference
SIDES_synth := reference
SIDES_cmd := kernels reference

# A farm of links per room makes a forbidden include fail to compile.
farm := $(foreach r,$(ROOMS),$(B)/inc/$(r)/.made)
$(farm): $(B)/inc/%/.made: Makefile
	@mkdir -p $(@D)
	@for d in $* $(DEPS_$*); do ln -sfn $(CURDIR)/harness/$$d $(@D)/$$d; done
	@touch $@

define room_rules
SRC_$(1) := $$(wildcard harness/$(1)/*.c)
OBJ_$(1) := $$(SRC_$(1):%.c=$(B)/%.o)
LIB_$(1) := $(B)/lib/$(1).a
$$(OBJ_$(1)): $(B)/%.o: %.c $(B)/inc/$(1)/.made
	@mkdir -p $$(@D)
	$$(CC) $$(CF) $$(OMP) $$(DEF_$(1)) -Iharness/include -I$(B)/inc/$(1) $$(PKG_CFLAGS) $$(CF_$$(notdir $$*)) -c $$< -o $$@
$$(LIB_$(1)): $$(OBJ_$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	ar rcs $$@ $$^
TESTS_$(1) := $$(patsubst harness/$(1)/tests/%.c,$(B)/tests/$(1)-%,$$(wildcard harness/$(1)/tests/test_*.c))
$$(TESTS_$(1)): $(B)/tests/$(1)-%: harness/$(1)/tests/%.c $(B)/inc/$(1)/.made $$(LIB_$(1)) $$(foreach d,$$(DEPS_$(1)),$(B)/lib/$$(d).a) $$(foreach s,$$(SIDES_$(1)),$$(LIBS_$$(s)))
	@mkdir -p $$(@D)
	$$(CC) $$(CF) $$(OMP) -Iharness/include -I$(B)/inc/$(1) $$(PKG_CFLAGS) $$< -o $$@ \
	  -Wl,--start-group $$(LIB_$(1)) $$(foreach d,$$(DEPS_$(1)),$(B)/lib/$$(d).a) $$(foreach s,$$(SIDES_$(1)),$$(LIBS_$$(s))) -Wl,--end-group \
	  $$(CHECK_LIBS) $$(LDLIBS) $$(foreach s,$$(SIDES_$(1)),$$(LINK_$$(s))) $$(LINK_$(1)-$$*)
endef
# one test's own: system calls that it makes fail
LINK_checkpoint-test_open_errno := $(foreach f,open fstat stat lstat mmap read opendir readdir aligned_alloc,-Wl,--wrap=$(f))

# ---- CUDA: found by itself, optional ------------------------------------------------------------------------------------
NVCC := $(firstword $(wildcard $(CUDA_HOME)/bin/nvcc) $(shell command -v nvcc 2>/dev/null) $(wildcard /usr/local/cuda/bin/nvcc))
CUDA_ROOT := $(if $(NVCC),$(abspath $(dir $(NVCC))..))
CUDA_LIBDIR := $(firstword $(wildcard $(CUDA_ROOT)/lib64/libcudart_static.a $(CUDA_ROOT)/lib/libcudart_static.a $(CUDA_ROOT)/targets/x86_64-linux/lib/libcudart_static.a))
HAVE_CUDA := $(if $(and $(NVCC),$(CUDA_LIBDIR),$(shell command -v $(CXX))),1,0)
ifneq ($(VARIANT),)
HAVE_CUDA := 0
endif
CUDA_WANT := 80 89 90 100f 103a 120f
ifeq ($(HAVE_CUDA),1)
-include $(B)/cuda-archs.mk
endif
$(B)/cuda-archs.mk: scripts/cuda-archs Makefile
	@mkdir -p $(@D)
	scripts/cuda-archs "$(NVCC)" $(CUDA_WANT) >$@

# ---- kernels/ and reference/: nothing of harness but the contract ----------------------------------------------------------
KINC := -Iharness/include -Ikernels
KSRC := $(wildcard kernels/*.c kernels/cpu/*.c kernels/simt/*.c)
KOBJ := $(KSRC:%.c=$(B)/%.o)
CUSRC := $(wildcard kernels/cuda/*.cu)
SIMTOBJ := $(CUSRC:kernels/cuda/%.cu=$(B)/kernels/simt/cu_%.o)
CUOBJ := $(if $(filter 1,$(HAVE_CUDA)),$(CUSRC:kernels/cuda/%.cu=$(B)/kernels/cuda/%.o))
DEF_kernels := -DQP_HAVE_CUDA=$(HAVE_CUDA)
DEF_device := -DQP_HAVE_CUDA=$(HAVE_CUDA) $(if $(filter 1,$(HAVE_CUDA)),-isystem $(CUDA_ROOT)/include)
DEF_cmd := -DQP_COMMIT='"$(COMMIT)"' -DQP_HAVE_CUDA=$(HAVE_CUDA)
CPU_FLAGS := -O3 -fno-trapping-math
# The tile functions once per instruction set, each an object of its own; kernels/cpu/isa.c chooses.
ISAS := base $(shell $(CC) -march=x86-64-v4 -E -x c /dev/null >/dev/null 2>&1 && echo v3 v4)
MARCH_v3 := -march=x86-64-v3
MARCH_v4 := -march=x86-64-v4
CF_cpu/isa := -DQP_CPU_ISAS=$(if $(filter v4,$(ISAS)),1,0)
CF_values_scan := -O3 # of room audit: bytes as fast as memory gives them
TILESRC := $(wildcard kernels/cpu/tiles/*.c)
TILEOBJ := $(foreach i,$(ISAS),$(TILESRC:%.c=$(B)/%_$(i).o))
define isa_rules
$$(TILESRC:%.c=$(B)/%_$(1).o): $(B)/%_$(1).o: %.c Makefile
	@mkdir -p $$(@D)
	$$(CC) $$(CF) $(CPU_FLAGS) $$(MARCH_$(1)) -DK_ISA=$(1) $(KINC) -c $$< -o $$@
endef
$(foreach i,$(ISAS),$(eval $(call isa_rules,$(i))))
$(KOBJ): $(B)/kernels/%.o: kernels/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CF) $(OMP) $(DEF_kernels) $(KINC) $(if $(filter cpu/%,$*),$(CPU_FLAGS)) $(CF_$*) -c $< -o $@
# The CUDA source itself, compiled for the CPU: the shim comes before the first line.
$(SIMTOBJ): $(B)/kernels/simt/cu_%.o: kernels/cuda/%.cu Makefile
	@mkdir -p $(@D)
	$(CC) $(filter-out -Wpedantic,$(CF)) $(KINC) -DQP_SIMT=1 -include kernels/simt/shim.h $(SIMT_FLAGS) -x c -c $< -o $@
NVFLAGS := -std=c++17 -O3 --fmad=false -prec-div=true -prec-sqrt=true -ftz=false -lineinfo \
  -Xcompiler -fno-threadsafe-statics,-fno-exceptions,-Wall,-Wextra,-g
$(B)/kernels/cuda/%.o: kernels/cuda/%.cu $(B)/cuda-archs.mk Makefile
	@mkdir -p $(@D)
	$(NVCC) $(NVFLAGS) $(CUDA_GENCODE) -t2 $(KINC) -MD -MF $(@:.o=.d) -c $< -o $@
$(B)/ptx/%.ptx: kernels/cuda/%.cu Makefile
	@mkdir -p $(@D)
	$(NVCC) $(NVFLAGS) -gencode arch=compute_90,code=compute_90 -ptx $(KINC) $< -o $@
LIBS_kernels := $(B)/lib/kernels.a
$(B)/lib/kernels.a: $(KOBJ) $(TILEOBJ) $(SIMTOBJ) $(CUOBJ)
	@mkdir -p $(@D)
	@rm -f $@
	ar rcs $@ $^
LINK_kernels := $(if $(filter 1,$(HAVE_CUDA)),$(CUDA_LIBDIR) -ldl -lrt -lpthread)

RSRC := $(wildcard reference/*.c reference/*/*.c)
RSRC := $(filter-out reference/tests/%,$(RSRC))
ROBJ := $(RSRC:%.c=$(B)/%.o)
$(ROBJ): $(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CF) -Iharness/include -Ireference -c $< -o $@
LIBS_reference := $(B)/lib/reference.a
$(B)/lib/reference.a: $(ROBJ)
	@mkdir -p $(@D)
	@rm -f $@
	ar rcs $@ $^

$(foreach r,$(ROOMS),$(eval $(call room_rules,$(r))))
LIBS_all := $(foreach r,$(ROOMS),$(B)/lib/$(r).a)

# ---- the program ------------------------------------------------------------------------------------------------------------
$(B)/harness/main.o: harness/main.c $(B)/inc/cmd/.made
	@mkdir -p $(@D)
	$(CC) $(CF) $(OMP) $(DEF_cmd) -Iharness/include -I$(B)/inc/cmd $(PKG_CFLAGS) -c $< -o $@
$(B)/quantproof: $(B)/harness/main.o $(LIBS_all) $(LIBS_kernels) $(LIBS_reference)
	$(CC) $(CF) $(OMP) -Wl,--start-group $^ -Wl,--end-group $(LDLIBS) $(LINK_kernels) -o $@
# ---- plug-ins: every kernels/mutants/*.c in one .so, every kernels/plugins/X/*.c in one each ---------------------------------
PLUGINS := $(B)/plugins/mutants.so $(patsubst kernels/plugins/%/,$(B)/plugins/%.so,$(wildcard kernels/plugins/*/))
PLUGFLAGS = $(filter-out -fsanitize=%,$(CF)) -O2 -fPIC -shared -fvisibility=hidden -Iharness/include
# One mutant is CUDA source: the shim that runs it comes along, and the error trail it speaks through.
$(B)/plugins/mutants.so: $(wildcard kernels/mutants/*.c kernels/mutants/*.h kernels/simt/*.c) harness/core/status.c Makefile
	@mkdir -p $(@D)
	$(CC) $(PLUGFLAGS) $(OMP) -Ikernels/mutants -Ikernels $(filter %.c,$^) -o $@ -lm
$(B)/plugins/%.so: kernels/plugins/%/*.c Makefile
	@mkdir -p $(@D)
	$(CC) $(PLUGFLAGS) $(filter %.c,$^) -o $@ -lm

# ---- tests --------------------------------------------------------------------------------------------------------------------
KTESTS := $(patsubst kernels/tests/%.c,$(B)/tests/kernels-%,$(wildcard kernels/tests/test_*.c))
$(KTESTS): $(B)/tests/kernels-%: kernels/tests/%.c $(LIBS_kernels) $(B)/lib/core.a
	@mkdir -p $(@D)
	$(CC) $(CF) $(OMP) $(DEF_kernels) $(KINC) $< -o $@ $(LIBS_kernels) $(B)/lib/core.a $(CHECK_LIBS) $(LDLIBS) $(LINK_kernels)
# NVIDIA's host conversions as a witness: headers only, from the toolkit; C++ because cuda_bf16.h needs it.
HAVE_WITNESS := $(if $(and $(wildcard $(CUDA_ROOT)/include/cuda_fp8.h),$(wildcard $(CUDA_ROOT)/include/cuda_fp4.h),$(shell command -v $(CXX))),1,0)
WITNESS := $(if $(filter 1,$(HAVE_WITNESS)),$(B)/reference/tests/witness.o)
$(B)/reference/tests/witness.o: reference/tests/witness.cpp Makefile
	@mkdir -p $(@D)
	$(CXX) -O3 -std=c++17 -Wall -Iharness/include -isystem $(CUDA_ROOT)/include -c $< -o $@
RTESTS := $(patsubst reference/tests/%.c,$(B)/tests/reference-%,$(wildcard reference/tests/test_*.c))
$(RTESTS): $(B)/tests/reference-%: reference/tests/%.c $(LIBS_reference) $(WITNESS)
	@mkdir -p $(@D)
	$(CC) $(CF) $(OMP) -DQP_HAVE_WITNESS=$(HAVE_WITNESS) -Iharness/include -Ireference $< -o $@ $(WITNESS) $(LIBS_reference) $(CHECK_LIBS) $(LDLIBS)
$(B)/exhaustive: $(wildcard reference/tests/exhaustive*.c) $(LIBS_reference) $(WITNESS)
	$(CC) $(CF) $(OMP) -DQP_HAVE_WITNESS=$(HAVE_WITNESS) -Iharness/include -Ireference $(filter %.c,$^) -o $@ $(WITNESS) $(LIBS_reference) $(LDLIBS)

# The header scanner on pipes, for scripts/headers-oracle.
$(B)/headers: harness/tensor/tests/headers.c harness/tensor/tests/scan_rows.h $(B)/inc/tensor/.made $(B)/lib/tensor.a $(B)/lib/core.a
	$(CC) $(CF) -Iharness/include -I$(B)/inc/tensor $(PKG_CFLAGS) $< -o $@ $(B)/lib/tensor.a $(B)/lib/core.a $(LDLIBS)

TESTS := $(RTESTS) $(KTESTS) $(foreach r,$(ROOMS),$(TESTS_$(r)))
# tests that need the program or a plug-in beside them
TEST_NEEDS := $(B)/quantproof $(PLUGINS)

.DEFAULT_GOAL := all
.PHONY: all test check lint headers layers asan tsan format help exhaustive clean tests fuzz $(addprefix test-,$(ROOMS) kernels reference)
all: $(B)/quantproof $(PLUGINS)
	@$(if $(filter 1,$(HAVE_CUDA)),echo "CUDA: $(CUDA_BUILT)$(if $(CUDA_LEFT_OUT), (left out: $(CUDA_LEFT_OUT)))",echo "CUDA: no toolkit found; built without the cuda device") >&2
tests: $(TESTS) $(TEST_NEEDS)
test: tests
	scripts/run-tests $(B) $(TESTS)
$(foreach r,$(ROOMS),$(eval test-$(r): $$(TESTS_$(r)); scripts/run-tests $$(B) $$(TESTS_$(r))))
test-cmd: $(TEST_NEEDS)
test-subject: $(PLUGINS)
test-kernels: $(KTESTS) $(PLUGINS); scripts/run-tests $(B) $(KTESTS)
test-reference: $(RTESTS); scripts/run-tests $(B) $(RTESTS)
check: all tests
	@CC="$(CC)" CXX="$(CXX)" scripts/check $(B) $(HAVE_CUDA) $(HAVE_WITNESS) "$(NVCC)" $(TESTS)
exhaustive: $(B)/exhaustive
	$(B)/exhaustive
asan: tests
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 scripts/run-tests $(B) $(TESTS)
TSAN_TESTS = $(TESTS_comm) $(TESTS_pipeline) $(B)/tests/audit-test_work $(B)/tests/audit-test_values
tsan: $(TSAN_TESTS)
	TSAN_OPTIONS=halt_on_error=1 scripts/run-tests $(B) $(TSAN_TESTS)
# Fuzz targets harness/ROOM/fuzz/fuzz_NAME.c -> $(B)/fuzz/ROOM-NAME: their room and what it may include, compiled anew by
# clang with coverage and sanitizers, once for all targets; kernels and reference as they are. make fuzz TIME=60
TIME ?= 60
CLANG ?= clang
FUZZ_FLAGS := -std=c11 -g -O1 -D_GNU_SOURCE -ffp-contract=off -fsanitize=address,undefined -fno-sanitize-recover=undefined
FUZZ_SRC := $(wildcard harness/*/fuzz/fuzz_*.c)
FUZZ := $(foreach f,$(FUZZ_SRC),$(B)/fuzz/$(word 2,$(subst /, ,$(f)))-$(patsubst fuzz_%,%,$(basename $(notdir $(f)))))
define fuzz_room
FUZZOBJ_$(1) := $$(SRC_$(1):%.c=$(B)/fuzz/%.o)
$$(FUZZOBJ_$(1)): $(B)/fuzz/%.o: %.c $(B)/inc/$(1)/.made
	@mkdir -p $$(@D)
	$$(CLANG) $$(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -MMD -MP $$(DEF_$(1)) -Iharness/include -I$(B)/inc/$(1) $$(PKG_CFLAGS) -c $$< -o $$@
$(B)/fuzz/lib/$(1).a: $$(FUZZOBJ_$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	ar rcs $$@ $$^
endef
$(foreach r,$(ROOMS),$(eval $(call fuzz_room,$(r))))
define fuzz_rule
$(B)/fuzz/$(1)-$(patsubst fuzz_%,%,$(basename $(notdir $(2)))): $(2) harness/core/fuzz/fuzz.h $$(foreach r,$(1) $$(DEPS_$(1)),$(B)/fuzz/lib/$$(r).a) $$(foreach s,$$(SIDES_$(1)),$$(LIBS_$$(s)))
	@mkdir -p $$(@D)
	$$(CLANG) $$(FUZZ_FLAGS) -fsanitize=fuzzer -Iharness/include -I$(B)/inc/$(1) $$(PKG_CFLAGS) $$(filter %.c,$$^) -o $$@ \
	  -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $$(LDLIBS) $$(if $$(SIDES_$(1)),-lgomp) $$(foreach s,$$(SIDES_$(1)),$$(LINK_$$(s)))
endef
$(foreach f,$(FUZZ_SRC),$(eval $(call fuzz_rule,$(word 2,$(subst /, ,$(f))),$(f))))
fuzz:
	@if scripts/fuzz can $(CLANG); then $(MAKE) -s B=$(B) $(FUZZ) && scripts/fuzz run $(B) $(TIME) $(FUZZ); \
	else echo "SKIP fuzz: no clang with libFuzzer"; echo "fuzz: $(words $(FUZZ)) targets, 0 failed, $(words $(FUZZ)) skipped"; fi
headers:
	scripts/headers "$(CC)" "$(CXX)"
layers: $(B)/lib/kernels.a
	scripts/layers $(B) "$(CC)" $(HAVE_CUDA) "$(NVCC)"
CLANG_FORMAT ?= clang-format-14
format:
	scripts/lint format $(CLANG_FORMAT)
lint:
	scripts/lint check $(CLANG_FORMAT)
clean:
	rm -rf build
help:
	@echo "make             build $(B)/quantproof and the plug-ins (CUDA when nvcc is found)"
	@echo "make test        every Check suite"
	@echo "make check       all that needs no GPU: tests, golden files, replay, headers, layers, doctor, smoke"
	@echo "make exhaustive  all 2^32 floats against NVIDIA's host conversions"
	@echo "make asan tsan   the suites under sanitizers (tsan: comm and pipeline)"
	@echo "make fuzz TIME=60  every libFuzzer target for so many seconds (needs clang)"
	@echo "make headers     every contract header alone as C11 and C++17"
	@echo "make layers      who may call whom; PTX without contraction"
	@echo "make lint format clang-format 14, clang-tidy"

-include $(shell find $(B) -name '*.d' 2>/dev/null)
