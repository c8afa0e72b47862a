/* A topic that was deleted under its reader ends the worker; nothing else does. */
#include "unit.h"

#include "stream/gone.h"

static void other_errors_are_no_deletion_and_the_first_deletion_is_kept(void **state)
{
    (void)state;
    struct err e = {0};
    gone_note(RD_KAFKA_RESP_ERR__TRANSPORT, "broker 1: disconnected");
    gone_note(RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, "a.events [0]: another leads it");
    assert_int_equal(gone_check(&e), 0);
    gone_note(RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, "a.events [0]: no longer available");
    gone_note(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "a.users [0]: topic does not exist");
    assert_int_equal(gone_check(&e), ERR_FATAL);
    assert_contains(e.msg, "a.events [0]: no longer available");
    assert_contains(e.msg, "flotilla topics create");
    assert_int_equal(gone_check(NULL), ERR_FATAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_errors_are_no_deletion_and_the_first_deletion_is_kept),
    };
    return RUN(tests);
}
