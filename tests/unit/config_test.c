/* SPDX-License-Identifier: MIT */
#include "mta/base/fault.h"
#include "mta/control/config.h"
#include "tests/unit/check.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Reads 'text' as a file; what is complained of goes to 'errors'. */
static struct config *read_text(const char *text, struct buf *errors)
{
    char name[] = "/tmp/config_test.XXXXXX";
    int fd      = mkstemp(name);
    must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    (void)close(fd);
    buf_clear(errors);
    struct config *config = config_read(name, errors);
    (void)unlink(name);
    return config;
}

static void refuses(const char *text, const char *place, const char *words)
{
    struct buf errors     = {0};
    struct config *config = read_text(text, &errors);
    if (config != NULL || strstr(buf_text(&errors), place) == NULL ||
        strstr(buf_text(&errors), words) == NULL) {
        print_error("wanted '%s' and '%s' of\n%s\ngot:\n%s\n", place, words, text,
                    buf_text(&errors));
        assert_true(false);
    }
    buf_release(&errors);
}

static void a_host_name_is_enough(void **state)
{
    (void)state;
    struct buf errors     = {0};
    struct config *config = read_text("hostname: mail.example.org\n", &errors);
    assert_non_null(config);
    assert_string_equal(config->hostname, "mail.example.org");
    assert_int_equal(config->listener_count, 1);
    assert_int_equal(config->listeners[0].address.port, 25);
    assert_int_equal(config->relay_from_count, 2);
    assert_int_equal(config->message_bytes_max, 40 << 20);
    assert_int_equal(config->policy.rule_count, 1);
    assert_int_equal(config->rules[0].limits.rate_per_hour, 360000);
    assert_int_equal(config->policy.retry.interval_count, 5);
    assert_int_equal(config->policy.retry.expire_ms, 432000000);
    assert_string_equal(config->deliver.hostname, "mail.example.org");
    config_free(config);
    buf_release(&errors);
}

static void an_empty_file_is_all_defaults(void **state)
{
    (void)state;
    struct buf errors     = {0};
    struct config *config = read_text("# nothing\n\n", &errors);
    assert_non_null(config);
    assert_true(strlen(config->hostname) > 0);
    config_free(config);
    buf_release(&errors);
}

static void sites_inherit_from_the_default_wherever_it_stands(void **state)
{
    (void)state;
    struct buf errors = {0};
    struct config *config =
        read_text("sites:\n"
                  "  google: {match_mx: ['*.Google.com'], connections: 5, shared: true}\n"
                  "  default: {idle: 3s, rate: none}\n",
                  &errors);
    assert_non_null(config);
    assert_int_equal(config->policy.rule_count, 2);
    const struct site_rule *google = &config->rules[1];
    assert_string_equal(google->name, "google");
    assert_string_equal(google->match_mx[0], "*.google.com");
    assert_null(google->match_mx[1]);
    assert_true(google->shared);
    assert_int_equal(google->limits.connections, 5);
    assert_int_equal(google->limits.idle_ms, 3000);
    assert_int_equal(google->limits.rate_per_hour, 0);
    config_free(config);
    buf_release(&errors);
}

static void routes_become_targets(void **state)
{
    (void)state;
    struct buf errors = {0};
    struct config *config =
        read_text("routes:\n"
                  "  - {domain: Lists.example.org, to: 'lmtp://127.0.0.1:8024'}\n"
                  "  - {domain: '*.internal', to: 'smtp://[2001:db8::1]:2525', tls: required}\n"
                  "  - {domain: '*', to: 'smtps://smart.example', user: me, password: secret}\n",
                  &errors);
    assert_non_null(config);
    const struct site_target *list     = &config->routes[0].target,
                             *internal = &config->routes[1].target,
                             *smart    = &config->routes[2].target;
    assert_string_equal(config->routes[0].domain, "lists.example.org");
    assert_true(list->is_lmtp && !list->is_mx);
    assert_int_equal(list->hosts[0].port, 8024);
    assert_string_equal(internal->hosts[0].name, "2001:db8::1");
    assert_int_equal(internal->tls, POLICY_TLS_REQUIRED);
    assert_true(smart->is_tls_implicit);
    assert_int_equal(smart->hosts[0].port, 465);
    assert_string_equal(smart->password, "secret");
    assert_string_not_equal(smart->key, internal->key);
    config_free(config);
    buf_release(&errors);
}

static void errors_name_the_place_and_the_remedy(void **state)
{
    (void)state;
    refuses("limits: {mesage_size: 40M}\n", ":1:10:", "did you mean 'message_size'?");
    refuses("hostnam: x\n", ":1:1:", "did you mean 'hostname'?");
    refuses("site: {}\n", ":1:1:", "did you mean 'sites'?");
    refuses("limits: 5\n", ":1:1:", "'limits' holds keys of its own");
    refuses("limits: {connections: 0}\n", ":1:23:", "out of range");
    refuses("retry: {jitter: 90%}\n", ":1:17:", "percentage");
    refuses("sites: {x: {connections: 3}}\n", ":1:9:", "matches nothing");
    refuses("routes: [{domain: x.example}]\n", ":1:11:", "needs domain and to");
    refuses("listen: [{address: '127.0.0.1:25', role: outbound}]\n",
            ":1:42:", "relay, submission or inbound");
    refuses("listen: [{address: '127.0.0.1:25', role: submission}]\n",
            ":1:11:", "starttls or implicit");
    refuses("metrics: {}\n", ":1:1:", "not in this version");
    refuses("lists: {base_url: lists.example.org}\n", ":1:19:", "https://");
    refuses("tls: {certificate: x.pem}\n", ":1:1:", "belong together");
    refuses("spool: [a, b]\n", ":1:1:", "single value");
}

static void all_errors_are_shown(void **state)
{
    (void)state;
    const char *text = "log: {format: xml, level: loud}\ndelivery: {port: 0, threads: x}\n";
    refuses(text, ":1:15:", "json or text");
    refuses(text, ":1:27:", "error, warning, info or debug");
    refuses(text, ":2:18:", "a port");
    refuses(text, ":2:30:", "a whole number");
}

static void yaml_itself_is_checked(void **state)
{
    (void)state;
    refuses("log: {format: json\n", ":2:1:", "missing comma");
    refuses("log: {level: info, level: info}\n", ":1:", "duplicate key");
    refuses("spool: &here /a\n", ":1:", "anchors");
    refuses("- a\n- b\n", ":1:", "key: value");
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    struct buf errors = {0};
    assert_null(config_read("/nowhere/at/all.yaml", &errors));
    assert_non_null(strstr(buf_text(&errors), "/nowhere/at/all.yaml: No such file"));
    buf_release(&errors);
}

static void what_needs_a_restart_is_said(void **state)
{
    (void)state;
    struct buf errors = {0}, names = {0};
    struct config *old   = read_text("hostname: a.example\nlimits: {connections: 5}\n", &errors);
    struct config *fresh = read_text(
        "hostname: b.example\nlimits: {connections: 6}\ndelivery: {threads: 3}\n", &errors);
    config_restart_keys(old, fresh, &names);
    assert_string_equal(buf_text(&names), "hostname, delivery.threads");
    buf_clear(&names);
    config_restart_keys(old, old, &names);
    assert_int_equal(names.len, 0);
    config_free(old);
    config_free(fresh);
    buf_release(&errors);
    buf_release(&names);
}

static void the_table_speaks_for_itself(void **state)
{
    (void)state;
    struct buf errors = {0}, text = {0};
    struct config *config = read_text("retry: {expire: 3d}\nroutes: [{domain: '*', to: "
                                      "'smtp://h:25', user: u, password: hush}]\n",
                                      &errors);
    config_print(config, true, false, &text);
    assert_non_null(strstr(buf_text(&text), "retry.expire: 3d\n"));
    assert_null(strstr(buf_text(&text), "retry.jitter"));
    assert_null(strstr(buf_text(&text), "hush"));
    buf_clear(&text);
    config_print(config, false, true, &text);
    assert_non_null(strstr(buf_text(&text), "{\"key\":\"retry.jitter\",\"value\":\"20%\"}"));
    buf_clear(&text);
    config_print_schema(&text);
    assert_non_null(strstr(buf_text(&text), "\"message_size\""));
    buf_clear(&text);
    config_print_man(&text);
    assert_non_null(strstr(buf_text(&text), ".It Cm limits.message_size"));
    config_free(config);
    buf_release(&errors);
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_name_is_enough),
        cmocka_unit_test(an_empty_file_is_all_defaults),
        cmocka_unit_test(sites_inherit_from_the_default_wherever_it_stands),
        cmocka_unit_test(routes_become_targets),
        cmocka_unit_test(errors_name_the_place_and_the_remedy),
        cmocka_unit_test(all_errors_are_shown),
        cmocka_unit_test(yaml_itself_is_checked),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(what_needs_a_restart_is_said),
        cmocka_unit_test(the_table_speaks_for_itself),
    };
    return RUN(tests);
}
