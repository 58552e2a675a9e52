/* SPDX-License-Identifier: MIT */
/*
 * Settings: one configuration, cut into what each module is given.  Modules never see the whole of
 * it.  Lives as long as any of them, or a job on the wire, may still look at it.
 */
#pragma once
#include "mta/base/list.h"
#include "mta/control/config.h"
#include "mta/control/reports.h"
#include "mta/deliver/router.h"
#include "mta/receive/receive.h"

struct settings {
    struct list link;
    struct config *config;
    struct queue_policy policy;
    struct router_settings router;
    struct router_route *routes;
    const char **inbound_domains;
    struct intake_settings intake;
    struct receive_settings receive;
    struct reports_settings reports;
    struct spool_config spool;
    struct dns_config dns;
};

/* Takes the configuration over.  'shards': how many there are. */
struct settings *settings_new(struct config *config, unsigned shards);
void settings_free(struct settings *settings);
