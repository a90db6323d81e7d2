// SPDX-License-Identifier: Apache-2.0
// Which ranks form a group: those that agree in every coordinate but the group's own. Decides membership,
// moves nothing.
#include "comm/transport.h"
#include "model/model.h"

const char *qp_group_kind_name(qp_group_kind g) {
    static const char *const names[QP_GROUP_KINDS] = {"tp", "dp", "etp", "ep", "edp", "pp", "cp", "world"};
    return (unsigned)g < QP_GROUP_KINDS ? names[g] : "?";
}

static bool same_group(qp_group_kind g, const qp_coord *a, const qp_coord *b) {
    const bool pp = a->pp_rank == b->pp_rank, dp = a->dp_rank == b->dp_rank, cp = a->cp_rank == b->cp_rank;
    const bool tp = a->tp_rank == b->tp_rank, ep = a->ep_rank == b->ep_rank, etp = a->etp_rank == b->etp_rank;
    const bool edp = a->edp_rank == b->edp_rank;
    switch (g) {
    case QP_GROUP_TP:
        return pp && dp && cp;
    case QP_GROUP_DP:
        return pp && cp && tp;
    case QP_GROUP_CP:
        return pp && dp && tp;
    case QP_GROUP_PP:
        return dp && cp && tp;
    case QP_GROUP_ETP:
        return pp && ep && edp;
    case QP_GROUP_EP:
        return pp && etp && edp;
    case QP_GROUP_EDP:
        return pp && ep && etp;
    default:
        return true;
    }
}

qp_status qp_groups_of(const qp_layout *l, int rank, qp_arena *a, qp_group_view views[QP_GROUP_KINDS],
                       qp_err *err) {
    const int n_ranks = qp_layout_ranks(l);
    const qp_coord me = qp_layout_coord(l, rank);
    for (int g = 0; g < QP_GROUP_KINDS; g++) {
        int *ranks;
        QP_TRY(QP_NEW(a, ranks, n_ranks));
        int n = 0;
        for (int r = 0; r < n_ranks; r++) {
            const qp_coord other = qp_layout_coord(l, r);
            if (!same_group((qp_group_kind)g, &me, &other)) continue;
            if (r == rank) views[g].index = n;
            ranks[n++] = r;
        }
        views[g].n = n;
        views[g].ranks = ranks;
        views[g].id = (uint32_t)g << 20 | (uint32_t)ranks[0];
    }
    return QP_OK;
}
