#include "unit.h"

#include "ctl/lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A file with these bytes; its path belongs to the caller's array. */
static void write_file(char path[32], const char *text)
{
    strcpy(path, "/tmp/test_lines.XXXXXX");
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    close(file);
}

static void lines_come_without_their_ends_and_with_their_numbers(void **state)
{
    (void)state;
    char path[32];
    struct lines l;
    struct str line;
    bool more;
    struct err e;
    write_file(path, "one\n\n  \r\ntwo\r\nlast");
    assert_int_equal(lines_open(&l, path, &e), 0);
    assert_int_equal(l.total_bytes, 18);
    assert_int_equal(lines_next(&l, &line, &more, &e), 0);
    assert_true(str_is(line, "one") && l.number == 1);
    assert_int_equal(lines_next(&l, &line, &more, &e), 0);
    assert_true(str_is(line, "two") && l.number == 4);
    assert_int_equal(lines_next(&l, &line, &more, &e), 0);
    assert_true(str_is(line, "last") && l.number == 5 && more);
    assert_int_equal(lines_next(&l, &line, &more, &e), 0);
    assert_false(more);
    assert_int_equal(l.read_bytes, 18);
    lines_close(&l);
    unlink(path);
}

static void a_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct lines l;
    struct err e;
    assert_int_equal(lines_open(&l, "/no/such/file", &e), ERR_IO);
    assert_string_equal(e.msg, "cannot open /no/such/file: No such file or directory");
    lines_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_without_their_ends_and_with_their_numbers),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
    };
    return RUN(tests);
}
