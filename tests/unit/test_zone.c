#include "base/zone.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Offsets from Python's zoneinfo, by datetime.fromtimestamp(s, ZoneInfo(name)).utcoffset(). */
static void offset_is(const char *name, int64_t utc_s, int32_t expected_s)
{
    struct zone *z = NULL;
    struct err e = {0};
    if (zone_load(&z, name, &e))
        fail_msg("%s", e.msg);
    int32_t got_s = zone_offset_s(z, utc_s);
    zone_free(z);
    if (got_s != expected_s)
        fail_msg("%s at %lld is %d, not %d", name, (long long)utc_s, got_s, expected_s);
}

static void summer_time_begins_and_ends_at_its_second(void **state)
{
    (void)state;
    offset_is("Europe/Berlin", 1711846799, 3600); /* 2024-03-31T01:00Z */
    offset_is("Europe/Berlin", 1711846800, 7200);
    offset_is("Europe/Berlin", 1729990799, 7200); /* 2024-10-27T01:00Z */
    offset_is("Europe/Berlin", 1729990800, 3600);
    offset_is("America/New_York", 1710053999, -18000); /* 2024-03-10T07:00Z */
    offset_is("America/New_York", 1710054000, -14400);
    offset_is("Australia/Lord_Howe", 1712415599, 39600); /* half an hour; 2024-04-06T15:00Z */
    offset_is("Australia/Lord_Howe", 1712415600, 37800);
}

static void zones_without_summer_time_and_with_odd_offsets_are_right(void **state)
{
    (void)state;
    offset_is("UTC", 0, 0);
    offset_is("UTC", -1, 0);
    offset_is("Asia/Kathmandu", 1704065400, 20700); /* +05:45 */
    offset_is("Asia/Kolkata", 1704065400, 19800);
    offset_is("Pacific/Kiritimati", 1704065400, 50400);
    offset_is("Etc/GMT+5", 1704065400, -18000);
}

/* 2040-07-01T00:00Z is 2,224,713,600 s, 2040-01-01 2,208,988,800 s, 2500-07-01 16,740,864,000 s. */
static void the_rules_hold_in_years_behind_the_table(void **state)
{
    (void)state;
    offset_is("Europe/Berlin", 2224713600, 7200);
    offset_is("Europe/Berlin", 2208988800, 3600);
    offset_is("America/New_York", 2224713600, -14400);
    offset_is("America/New_York", 2208988800, -18000);
    offset_is("Australia/Sydney", 2224713600, 36000); /* summer over the new year */
    offset_is("Australia/Sydney", 2208988800, 39600);
    offset_is("Europe/Dublin", 2224713600, 3600); /* its standard time is summer's */
    offset_is("Europe/Dublin", 2208988800, 0);
    offset_is("Europe/Berlin", 16740864000, 7200);
}

/* 1900-01-01T00:00Z is -2,208,988,800 s; Berlin's local mean time ended in 1893. */
static void times_before_1970_are_in_the_table(void **state)
{
    (void)state;
    offset_is("Europe/Berlin", -2208988800, 3600);
    offset_is("Europe/Berlin", -3155673600, 3208); /* 1870: 53 min 28 s */
    offset_is("Europe/Berlin", -777600000, 7200);  /* 1945-05-12 */
}

static void names_that_are_no_zones_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "../etc/passwd",
                                      "../../etc/passwd",
                                      "/etc/passwd",
                                      "Europe/../Europe/Berlin",
                                      "Europe/Nowhere",
                                      "Europe",
                                      "."};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct zone *z = NULL;
        struct err e = {0};
        int rc = zone_load(&z, bad[i], &e);
        assert_true(rc == ERR_NOT_FOUND || rc == ERR_CORRUPT);
        assert_null(z);
        assert_contains(e.msg, rc == ERR_NOT_FOUND ? "Europe/Berlin or UTC" : "tzdata");
    }
    char long_name[1000];
    struct zone *z = NULL;
    struct err e = {0};
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    assert_int_equal(zone_load(&z, long_name, &e), ERR_NOT_FOUND);
    struct zone *text = NULL;
    int rc = zone_load(&text, "zone.tab", &e); /* there, but no zone */
    assert_true(rc == ERR_CORRUPT || rc == ERR_NOT_FOUND);
}

/* Berlin's file, cut and with wrong bytes. */
static void damaged_files_are_refused_or_read_within_their_bounds(void **state)
{
    (void)state;
    char folder[] = "/tmp/flotilla-zone-XXXXXX", path[64];
    static uint8_t good[65536], bad[65536];
    FILE *in = fopen("/usr/share/zoneinfo/Europe/Berlin", "rb");
    assert_non_null(in);
    size_t n = fread(good, 1, sizeof good, in);
    fclose(in);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/Zone", folder);
    setenv("TZDIR", folder, 1);
    srand(1);
    for (size_t round = 0; round < 3000; round++) {
        size_t length = round < 300 ? round * n / 300 : n;
        memcpy(bad, good, n);
        for (size_t i = 0; round >= 300 && i < 3; i++)
            bad[(size_t)rand() % (i ? n : 60)] = (uint8_t)rand();
        FILE *out = fopen(path, "wb");
        assert_non_null(out);
        assert_int_equal(fwrite(bad, 1, length, out), length);
        fclose(out);
        struct zone *z = NULL;
        struct err e = {0};
        int rc = zone_load(&z, "Zone", &e);
        assert_true(rc == 0 || rc == ERR_CORRUPT);
        for (int64_t s = -4000000000; z && s < 4000000000; s += 123456789)
            (void)zone_offset_s(z, s);
        if (z)
            (void)zone_offset_s(z, INT64_C(9007199254740));
        zone_free(z);
    }
    unsetenv("TZDIR");
    unlink(path);
    rmdir(folder);
}

static void without_memory_it_fails_and_leaks_nothing(void **state)
{
    (void)state;
    for (int n = 1;; n++) {
        struct zone *z = NULL;
        struct err e = {0};
        fail_alloc_at(n);
        int rc = zone_load(&z, "Europe/Berlin", &e);
        if (!fail_alloc_end()) {
            assert_int_equal(rc, 0);
            assert_true(n > 2);
            zone_free(z);
            break;
        }
        assert_null(z);
        if (rc != ERR_NOMEM)
            fail_msg("code %d at allocation %d: %s", rc, n, e.msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(summer_time_begins_and_ends_at_its_second),
        cmocka_unit_test(zones_without_summer_time_and_with_odd_offsets_are_right),
        cmocka_unit_test(the_rules_hold_in_years_behind_the_table),
        cmocka_unit_test(times_before_1970_are_in_the_table),
        cmocka_unit_test(names_that_are_no_zones_are_refused),
        cmocka_unit_test(damaged_files_are_refused_or_read_within_their_bounds),
        cmocka_unit_test(without_memory_it_fails_and_leaks_nothing),
    };
    return RUN(tests);
}
