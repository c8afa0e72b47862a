/*
 * Training sets that are not what they were, or never were one: an error that names the part, and
 * never more.
 */
#include "unit.h"

#include "set/set_document.h"
#include "set/set_path.h"
#include "support/set_folder.h"
#include "support/set_samples.h"

#include <hdf5.h>

enum { REQUESTS = 60, PART_ROWS = 150 };

static int setup(void **state)
{
    return folder_make(state) || sample_write(*state, REQUESTS, PART_ROWS, NULL);
}

static void put_bytes(const char *dir, const char *name, const char *bytes, size_t len)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void assert_corrupt(const char *dir, const char *part)
{
    struct set *set = NULL;
    struct err e = {0};
    assert_int_equal(set_open(&set, dir, &e), ERR_CORRUPT);
    assert_contains(e.msg, part);
}

/* ---------------------------------------------------------- damage */

static void a_part_with_any_bit_changed_is_refused_by_name(void **state)
{
    const char *dir = *state;
    size_t len = 0;
    char *bytes = folder_get(dir, "part-000002.h5", &len);
    for (size_t at = 0; at < len; at += at < 2000 ? 13 : 257) {
        bytes[at] ^= (char)(1 << at % 8);
        put_bytes(dir, "part-000002.h5", bytes, len);
        assert_corrupt(dir, "part-000002.h5 is damaged");
        bytes[at] ^= (char)(1 << at % 8);
    }
    put_bytes(dir, "part-000002.h5", bytes, len);
    assert_samples(dir, REQUESTS);
    free(bytes);
}

static void a_part_that_was_cut_or_is_missing_is_refused_by_name(void **state)
{
    const char *dir = *state;
    size_t len = 0;
    char *bytes = folder_get(dir, "part-000001.h5", &len);
    for (size_t kept = 0; kept < len; kept += len / 20) {
        put_bytes(dir, "part-000001.h5", bytes, kept);
        assert_corrupt(dir, "part-000001.h5 is damaged");
    }
    char path[1024];
    snprintf(path, sizeof path, "%s/part-000001.h5", dir);
    assert_int_equal(remove(path), 0);
    assert_corrupt(dir, "part-000001.h5 is missing");
    free(bytes);
}

/* Some changes leave a document that says something else; none may do more than that. */
static void a_document_with_any_byte_changed_does_no_harm(void **state)
{
    const char *dir = *state;
    size_t len = 0;
    int refused = 0;
    char *bytes = folder_get(dir, "set.json", &len);
    for (size_t at = 0; at < len; at++) {
        struct set *set = NULL;
        char was = bytes[at];
        static const char others[] = {'9', '"', '}', '-', 'x', '\0', '\x80'};
        bytes[at] = others[at % sizeof others];
        put_bytes(dir, "set.json", bytes, len);
        int rc = set_open(&set, dir, NULL);
        assert_true(rc == 0 || rc == ERR_CORRUPT);
        refused += rc != 0;
        if (!rc)
            set_free(set);
        bytes[at] = was;
    }
    assert_true(refused > 200);
    free(bytes);
}

/* The document with one text of it replaced. */
static void edit(const char *dir, const char *from, const char *to)
{
    size_t len = 0;
    char *bytes = folder_get(dir, "set.json", &len);
    char *at = strstr(bytes, from);
    assert_non_null(at);
    struct buf b = {0};
    buf_put(&b, bytes, (size_t)(at - bytes));
    buf_put_text(&b, to);
    buf_put_text(&b, at + strlen(from));
    assert_true(buf_ok(&b));
    put_bytes(dir, "set.json", (const char *)b.data, b.len);
    buf_free(&b);
    free(bytes);
}

static void documents_that_say_too_much_are_refused(void **state)
{
    static const char *const edits[][3] = {
        {"\"format\": 1", "\"format\": 2", "another version of Flotilla"},
        {"\"fingerprint\": \"00", "\"fingerprint\": \"0", "columns"},
        {"\"fingerprint\": \"00", "\"fingerprint\": \"0g", "columns"},
        {"\"name\": \"price\"", "\"name\": \"a/b\"", "a/b"},
        {"\"file\": \"part-000001.h5\"", "\"file\": \"../../etc/passwd\"", "parts"},
        {"\"bytes\": ", "\"bytes\": -", "parts"},
        {"\"requests\": ", "\"requests\": 9", "requests"},
        {"\"rows\": ", "\"rows\": 1844674407370955", "rows"},
        {"\"counts\": {", "\"counts\": 7, \"x\": {", "counts"},
        {"\"xxh3\": \"", "\"xxh3\": \"0", "parts"},
        {"{\n", "[\n", "line"},
    };
    const char *dir = *state;
    size_t len = 0;
    char *bytes = folder_get(dir, "set.json", &len);
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        put_bytes(dir, "set.json", bytes, len);
        edit(dir, edits[i][0], edits[i][1]);
        assert_corrupt(dir, "set.json");
        assert_corrupt(dir, edits[i][2]);
    }
    free(bytes);
}

/* ---------------------------------------------------------- parts that somebody else made */

/* What is done to a part. */
typedef void change(hid_t file);

/* Changes the first part by HDF5 itself, and has the document say that this is how it was. */
static void forge(const char *dir, change *how)
{
    char path[1024];
    struct set_document d = {0};
    struct err e = {0};
    snprintf(path, sizeof path, "%s/part-000001.h5", dir);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(file >= 0);
    how(file);
    assert_true(H5Fclose(file) >= 0);
    assert_int_equal(set_document_read(&d, dir, SET_DOCUMENT, &e), 0);
    assert_int_equal(set_path_hash(&d.parts[0].hash, &d.parts[0].bytes, path, &e), 0);
    assert_int_equal(set_document_write(&d, dir, SET_DOCUMENT, &e), 0);
    set_document_free(&d);
}

static void set_value(hid_t file, const char *name, hid_t type, const void *value)
{
    hid_t column = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(column);
    hsize_t first = 0, count = 1;
    hid_t memory = H5Screate_simple(1, &count, NULL);
    assert_true(H5Sselect_hyperslab(space, H5S_SELECT_SET, &first, NULL, &count, NULL) >= 0);
    assert_true(H5Dwrite(column, type, memory, space, H5P_DEFAULT, value) >= 0);
    H5Sclose(memory);
    H5Sclose(space);
    H5Dclose(column);
}

static void set_place(hid_t file, const char *name, int32_t place)
{
    set_value(file, name, H5T_NATIVE_INT32, &place);
}

/* A column in the place of another. */
static void replace(hid_t file, const char *name, hid_t type, int dimensions, hsize_t count)
{
    hsize_t counts[2] = {count, 1};
    assert_true(H5Ldelete(file, name, H5P_DEFAULT) >= 0);
    hid_t space = H5Screate_simple(dimensions, counts, NULL);
    hid_t column = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(column >= 0);
    H5Dclose(column);
    H5Sclose(space);
}

static hsize_t count_of(hid_t file, const char *name)
{
    hsize_t count = 0;
    hid_t column = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(column);
    H5Sget_simple_extent_dims(space, &count, NULL);
    H5Sclose(space);
    H5Dclose(column);
    return count;
}

static void nothing(hid_t file)
{
    (void)file;
}

static void proposition_beyond(hid_t file)
{
    set_place(file, "/rows/proposition", 1 << 20);
}

static void proposition_negative(hid_t file)
{
    set_place(file, "/rows/proposition", -1);
}

static void segments_beyond(hid_t file)
{
    set_place(file, "/requests/segments", INT32_MAX);
}

static void proposition_segments_beyond(hid_t file)
{
    set_place(file, "/propositions/segments", INT32_MIN);
}

static void rows_too_many(hid_t file)
{
    uint32_t rows = UINT32_MAX;
    set_value(file, "/requests/rows", H5T_NATIVE_UINT32, &rows);
}

static void source_unknown(hid_t file)
{
    uint8_t source = 3;
    set_value(file, "/requests/source", H5T_NATIVE_UINT8, &source);
}

static void label_is_text(hid_t file)
{
    replace(file, "/rows/label", H5T_C_S1, 1, count_of(file, "/rows/label"));
}

static void label_is_short(hid_t file)
{
    replace(file, "/rows/label", H5T_IEEE_F32LE, 1, count_of(file, "/rows/label") - 1);
}

static void labels_have_two_dimensions(hid_t file)
{
    replace(file, "/rows/label", H5T_IEEE_F32LE, 2, count_of(file, "/rows/label"));
}

static void place_is_unsigned(hid_t file)
{
    replace(file, "/rows/place", H5T_STD_U32LE, 1, count_of(file, "/rows/place"));
}

static void feature_is_double(hid_t file)
{
    replace(file, "/features/taste", H5T_IEEE_F64LE, 1, count_of(file, "/rows/place"));
}

static void feature_is_missing(hid_t file)
{
    H5Ldelete(file, "/features/taste", H5P_DEFAULT);
}

static void rows_are_missing(hid_t file)
{
    H5Ldelete(file, "/rows", H5P_DEFAULT);
}

static void texts_of_any_length(hid_t file)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    replace(file, "/requests/id", type, 1, count_of(file, "/requests/rows"));
    H5Tclose(type);
}

/* So many that no file has them: HDF5 promises them without any bytes. */
static void dictionary_is_endless(hid_t file)
{
    replace(file, "/segments/json", H5T_C_S1, 1, (hsize_t)1 << 40);
}

static void texts_are_endless(hid_t file)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, 1 << 30);
    replace(file, "/requests/user", type, 1, count_of(file, "/requests/rows"));
    H5Tclose(type);
}

static void parts_that_others_made_are_checked(void **state)
{
    static const struct {
        change *how;
        const char *says;
    } forged[] = {
        {proposition_beyond, "column proposition refers to 1048576 of"},
        {proposition_negative, "column proposition refers to -1 of"},
        {segments_beyond, "column segments refers to"},
        {proposition_segments_beyond, "column segments refers to"},
        {rows_too_many, "its requests have"},
        {source_unknown, "column source has a 3"},
        {label_is_text, "column label is of another type"},
        {label_is_short, "column label has"},
        {labels_have_two_dimensions, "column label has"},
        {place_is_unsigned, "column place is of another type"},
        {feature_is_double, "column taste is of another type"},
        {feature_is_missing, "cannot read column taste"},
        {rows_are_missing, "cannot read group rows"},
        {texts_of_any_length, "column id is of another type"},
        {dictionary_is_endless, "column json has"},
        {texts_are_endless, "column user has texts of 1073741824 bytes"},
    };
    const char *dir = *state;
    size_t len = 0, document_len = 0;
    char *bytes = folder_get(dir, "part-000001.h5", &len);
    char *document = folder_get(dir, "set.json", &document_len);
    forge(dir, nothing);
    assert_samples(dir, REQUESTS);
    for (size_t i = 0; i < sizeof forged / sizeof *forged; i++) {
        put_bytes(dir, "part-000001.h5", bytes, len);
        put_bytes(dir, "set.json", document, document_len);
        forge(dir, forged[i].how);
        assert_corrupt(dir, forged[i].says);
        assert_corrupt(dir, "part-000001.h5");
    }
    free(document);
    free(bytes);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, folder_remove)
    const struct CMUnitTest tests[] = {
        TEST(a_part_with_any_bit_changed_is_refused_by_name),
        TEST(a_part_that_was_cut_or_is_missing_is_refused_by_name),
        TEST(a_document_with_any_byte_changed_does_no_harm),
        TEST(documents_that_say_too_much_are_refused),
        TEST(parts_that_others_made_are_checked),
    };
    return RUN(tests);
}
