// SPDX-License-Identifier: Apache-2.0
// A shared object that brings its own kernels: it exports qp_plugin_v1. Same launches, same judge as the
// built-in ones. C ABI; nothing of the harness is needed to build one but these headers.
#ifndef QP_PLUGIN_H
#define QP_PLUGIN_H

#include "qp/kernel.h"

QP_BEGIN_C

enum { QP_PLUGIN_ABI = 1 };

// Returns QP_OK, QP_REFUSED (this op, format or dtype is not offered) or another status; msg gets a reason.
typedef qp_status (*qp_plugin_run_fn)(const qp_launch *launch, char *msg, size_t msg_bytes);

typedef struct qp_plugin_variant {
    const char *name; // "" for a plug-in with one implementation; mutants are selected by name: FILE.so:NAME
    const char *doc;
    qp_plugin_run_fn run;
} qp_plugin_variant;

typedef struct qp_plugin {
    int abi;             // QP_PLUGIN_ABI
    size_t launch_bytes; // sizeof(qp_launch), sizeof(qp_ktensor): a mismatch is refused, never a crash
    size_t tensor_bytes;
    const char *name, *version;
    qp_device_kind device; // where its pointers live (cpu or cuda)
    const qp_plugin_variant *variants;
    int n_variants;
} qp_plugin;

// The one exported symbol.
const qp_plugin *qp_plugin_v1(void);
typedef const qp_plugin *(*qp_plugin_entry_fn)(void);

QP_END_C
#endif
