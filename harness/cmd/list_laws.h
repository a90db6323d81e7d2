// SPDX-License-Identifier: Apache-2.0
// 'list --laws': the table of laws and formats with its counter-examples, from the tables that the checks
// use.
#ifndef CMD_LIST_LAWS_H
#define CMD_LIST_LAWS_H

void qp_list_laws(void);

#endif
