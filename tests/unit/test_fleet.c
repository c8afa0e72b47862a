#include "unit.h"

#include "ctl/fleet.h"

static struct fleet_worker features_worker(void)
{
    return (struct fleet_worker){.group = &fleet_groups[0], .epochs = -1};
}

static void a_client_id_tells_instance_and_port(void **state)
{
    (void)state;
    struct fleet_worker w = features_worker();
    assert_true(fleet_parse_client_id(&w, "features/a/b@c@8080"));
    assert_string_equal(w.instance, "a/b@c");
    assert_int_equal(w.port, 8080);
}

static void a_client_id_of_another_program_is_none(void **state)
{
    (void)state;
    static const char *const others[] = {"rdkafka",      "features/a",     "features@1/a",
                                         "feature/a@80", "recorder/a@80",  "features/a@",
                                         "features/a@0", "features/a@8x0", "features/a@65536"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct fleet_worker w = features_worker();
        assert_false(fleet_parse_client_id(&w, others[i]));
    }
}

static void a_status_tells_state_restore_and_last_commit(void **state)
{
    (void)state;
    static const char json[] =
        "{\"worker\":\"features\",\"state\":\"restore\",\"reason\":\"reading checkpoints\","
        "\"ready\":false,\"epochs\":3,\"last_commit_ms\":1700000000000,\"restored_records\":5,"
        "\"records_to_restore\":10,\"partitions\":[{\"restoring\":true},{\"restoring\":false}]}";
    struct fleet_worker w = features_worker();
    assert_true(fleet_parse_status(&w, json, sizeof json - 1));
    assert_true(w.reached);
    assert_false(w.ready);
    assert_string_equal(w.state, "restore");
    assert_string_equal(w.reason, "reading checkpoints");
    assert_int_equal(w.restoring, 1);
    assert_int_equal(w.restored_records, 5);
    assert_int_equal(w.records_to_restore, 10);
    assert_int_equal(w.epochs, 3);
    assert_int_equal(w.last_commit_ms, 1700000000000);
}

static void what_is_no_status_is_refused(void **state)
{
    (void)state;
    struct fleet_worker w = features_worker();
    assert_false(fleet_parse_status(&w, "", 0));
    assert_false(fleet_parse_status(&w, "[]", 2));
    assert_false(fleet_parse_status(&w, "{\"ready\":1}", 11));
    assert_false(w.reached);
}

static void a_fleet_is_well_with_all_kinds_ready_and_near_the_end(void **state)
{
    (void)state;
    struct fleet_worker workers[] = {{.group = &fleet_groups[0], .ready = true},
                                     {.group = &fleet_groups[1], .ready = true}};
    struct fleet_partition partition = {.known = true, .lag = 10};
    struct fleet f = {
        .workers = workers, .worker_count = 2, .partitions = &partition, .partition_count = 1};
    assert_true(fleet_is_well(&f, -1));
    assert_true(fleet_is_well(&f, 10));
    assert_false(fleet_is_well(&f, 9));
    partition.known = false;
    assert_false(fleet_is_well(&f, 10));
    workers[1].ready = false;
    assert_false(fleet_is_well(&f, -1));
    workers[1].ready = true;
    f.worker_count = 1;
    assert_false(fleet_is_well(&f, -1));
}

static void a_ranker_is_only_missed_where_one_has_run(void **state)
{
    (void)state;
    struct fleet_worker workers[] = {{.group = &fleet_groups[0], .ready = true},
                                     {.group = &fleet_groups[1], .ready = true},
                                     {.group = &fleet_groups[2], .ready = true}};
    struct fleet_partition partition = {.group = &fleet_groups[2], .known = true, .committed = -1};
    struct fleet f = {
        .workers = workers, .worker_count = 2, .partitions = &partition, .partition_count = 1};
    assert_string_equal(fleet_groups[2].name, "ranker");
    assert_false(fleet_misses(&f, &fleet_groups[2]));
    assert_true(fleet_is_well(&f, -1));
    partition.committed = 0;
    assert_true(fleet_misses(&f, &fleet_groups[2]));
    assert_false(fleet_is_well(&f, -1));
    f.worker_count = 3;
    assert_true(fleet_is_well(&f, -1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_id_tells_instance_and_port),
        cmocka_unit_test(a_client_id_of_another_program_is_none),
        cmocka_unit_test(a_status_tells_state_restore_and_last_commit),
        cmocka_unit_test(what_is_no_status_is_refused),
        cmocka_unit_test(a_fleet_is_well_with_all_kinds_ready_and_near_the_end),
        cmocka_unit_test(a_ranker_is_only_missed_where_one_has_run),
    };
    return RUN(tests);
}
