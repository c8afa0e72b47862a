#include "set/set_hdf5.h"

#include "set/set_driver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The first reason that HDF5 kept: that of the innermost function. */
static herr_t first_reason(unsigned n, const H5E_error2_t *error, void *out)
{
    (void)n;
    const char **reason = out;
    if (!*reason && error->desc && *error->desc)
        *reason = error->desc;
    return 0;
}

static int hdf5_fail(struct err *e, int code, const char *what, const char *name)
{
    const char *reason = NULL;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, first_reason, &reason);
    /* Of a system call HDF5 says a line of numbers, with the system's words among them. */
    const char *words = reason ? strstr(reason, "error message = '") : NULL;
    const char *end = words ? strchr(words += strlen("error message = '"), '\'') : NULL;
    if (end)
        err_set(e, code, "%s %s: %.*s", what, name, (int)(end - words), words);
    else
        err_set(e, code, "%s %s: %s", what, name, reason ? reason : "no reason given");
    H5Eclear2(H5E_DEFAULT);
    return code;
}

static hid_t memory_type(enum hdf5_type type, size_t width)
{
    static const size_t least_width = 1;
    switch (type) {
    case HDF5_FLOAT:
        return H5Tcopy(H5T_NATIVE_FLOAT);
    case HDF5_DOUBLE:
        return H5Tcopy(H5T_NATIVE_DOUBLE);
    case HDF5_I32:
        return H5Tcopy(H5T_NATIVE_INT32);
    case HDF5_I64:
        return H5Tcopy(H5T_NATIVE_INT64);
    case HDF5_U8:
        return H5Tcopy(H5T_NATIVE_UINT8);
    case HDF5_U32:
        return H5Tcopy(H5T_NATIVE_UINT32);
    case HDF5_TEXT:
        break;
    }
    hid_t text = H5Tcopy(H5T_C_S1);
    if (text >= 0 &&
        (H5Tset_size(text, width > least_width ? width : least_width) < 0 ||
         H5Tset_strpad(text, H5T_STR_NULLPAD) < 0 || H5Tset_cset(text, H5T_CSET_UTF8) < 0)) {
        H5Tclose(text);
        return H5I_INVALID_HID;
    }
    return text;
}

size_t hdf5_size(enum hdf5_type type, size_t width)
{
    static const size_t sizes[] = {[HDF5_FLOAT] = 4, [HDF5_DOUBLE] = 8, [HDF5_I32] = 4,
                                   [HDF5_I64] = 8,   [HDF5_U8] = 1,     [HDF5_U32] = 4};
    return type == HDF5_TEXT ? (width ? width : 1) : sizes[type];
}

/* ---------------------------------------------------------- files and groups */

int hdf5_create(hid_t *file, int *reason, const char *path, struct err *e)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    /* What readers of the last ten years know, with checksums of what is not data; no times, so
     * that equal sets are equal bytes. */
    hid_t how = H5Pcreate(H5P_FILE_CREATE), access = H5Pcreate(H5P_FILE_ACCESS);
    bool ok = how >= 0 && access >= 0 && H5Pset_obj_track_times(how, false) >= 0 &&
              H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18) >= 0;
    *file = ok ? set_driver_create(path, how, access, reason) : H5I_INVALID_HID;
    int rc = hdf5_written(reason, path, e);
    if (!rc && *file < 0)
        rc = hdf5_fail(e, ERR_IO, "cannot write", path);
    H5Eclear2(H5E_DEFAULT);
    if (access >= 0)
        H5Pclose(access);
    if (how >= 0)
        H5Pclose(how);
    return rc;
}

int hdf5_open(hid_t *file, const char *path, struct err *e)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    /* Whole parts do not change, and not every file system can lock. */
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    *file = access >= 0 && H5Pset_file_locking(access, false, true) >= 0
                ? H5Fopen(path, H5F_ACC_RDONLY, access)
                : H5I_INVALID_HID;
    int rc = *file < 0 ? hdf5_fail(e, ERR_CORRUPT, "cannot read", path) : 0;
    if (access >= 0)
        H5Pclose(access);
    return rc;
}

int hdf5_written(const int *reason, const char *path, struct err *e)
{
    return *reason == 0        ? 0
           : *reason == ENOMEM ? err_nomem(e)
                               : err_set(e, ERR_IO, "cannot write %s: %s", path, strerror(*reason));
}

int hdf5_close(hid_t *file, const int *reason, const char *path, struct err *e)
{
    herr_t failed = *file >= 0 ? H5Fclose(*file) : 0;
    *file = H5I_INVALID_HID;
    return failed < 0 ? hdf5_fail(e, ERR_IO, "cannot write", path) : hdf5_written(reason, path, e);
}

void hdf5_drop(hid_t *file)
{
    if (*file >= 0)
        H5Fclose(*file);
    *file = H5I_INVALID_HID;
}

int hdf5_make_group(hid_t *group, hid_t file, const char *name, struct err *e)
{
    hid_t how = H5Pcreate(H5P_GROUP_CREATE);
    bool ok = how >= 0 && H5Pset_obj_track_times(how, false) >= 0;
    *group = ok ? H5Gcreate2(file, name, H5P_DEFAULT, how, H5P_DEFAULT) : H5I_INVALID_HID;
    int rc = *group < 0 ? hdf5_fail(e, ERR_IO, "cannot write group", name) : 0;
    if (how >= 0)
        H5Pclose(how);
    return rc;
}

int hdf5_open_group(hid_t *group, hid_t file, const char *name, struct err *e)
{
    *group = H5Gopen2(file, name, H5P_DEFAULT);
    return *group < 0 ? hdf5_fail(e, ERR_CORRUPT, "cannot read group", name) : 0;
}

void hdf5_drop_group(hid_t *group)
{
    if (*group >= 0)
        H5Gclose(*group);
    *group = H5I_INVALID_HID;
}

void hdf5_drop_column(hid_t *column)
{
    if (*column >= 0)
        H5Dclose(*column);
    *column = H5I_INVALID_HID;
}

/* ---------------------------------------------------------- writing */

static int make(hid_t *column, hid_t group, const char *name, hid_t type, hid_t space,
                hsize_t chunk, struct err *e)
{
    /* Every place is written, so none is filled before. */
    hid_t how = H5Pcreate(H5P_DATASET_CREATE);
    bool ok = how >= 0 && type >= 0 && space >= 0 && H5Pset_obj_track_times(how, false) >= 0 &&
              H5Pset_fill_time(how, H5D_FILL_TIME_NEVER) >= 0 &&
              (chunk == 0 || H5Pset_chunk(how, 1, &chunk) >= 0);
    *column =
        ok ? H5Dcreate2(group, name, type, space, H5P_DEFAULT, how, H5P_DEFAULT) : H5I_INVALID_HID;
    int rc = *column < 0 ? hdf5_fail(e, ERR_IO, "cannot write column", name) : 0;
    if (how >= 0)
        H5Pclose(how);
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
    return rc;
}

int hdf5_make_growing(hid_t *column, hid_t group, const char *name, enum hdf5_type type,
                      size_t chunk_values, struct err *e)
{
    hsize_t none = 0, any = H5S_UNLIMITED;
    return make(column, group, name, memory_type(type, 0), H5Screate_simple(1, &none, &any),
                chunk_values, e);
}

int hdf5_put_chunk(hid_t column, uint64_t first, size_t values, const void *chunk, size_t bytes,
                   struct err *e)
{
    hsize_t offset = first, extent = first + values;
    bool ok = H5Dset_extent(column, &extent) >= 0 &&
              H5Dwrite_chunk(column, H5P_DEFAULT, 0, &offset, bytes, chunk) >= 0;
    return ok ? 0 : hdf5_fail(e, ERR_IO, "cannot write", "values");
}

int hdf5_make_column(hid_t *column, hid_t group, const char *name, enum hdf5_type type,
                     size_t width, uint64_t count, struct err *e)
{
    hsize_t values = count;
    return make(column, group, name, memory_type(type, width), H5Screate_simple(1, &values, NULL),
                0, e);
}

/* Values between memory and a part of a column, one way or the other. */
static bool move(hid_t column, enum hdf5_type type, size_t width, uint64_t first, size_t count,
                 void *into, const void *from)
{
    hsize_t start = first, values = count;
    hid_t memory = H5Screate_simple(1, &values, NULL), file = H5Dget_space(column);
    hid_t of = memory_type(type, width);
    bool ok = memory >= 0 && file >= 0 && of >= 0 &&
              H5Sselect_hyperslab(file, H5S_SELECT_SET, &start, NULL, &values, NULL) >= 0 &&
              (into ? H5Dread(column, of, memory, file, H5P_DEFAULT, into)
                    : H5Dwrite(column, of, memory, file, H5P_DEFAULT, from)) >= 0;
    if (of >= 0)
        H5Tclose(of);
    if (file >= 0)
        H5Sclose(file);
    if (memory >= 0)
        H5Sclose(memory);
    return ok;
}

int hdf5_put(hid_t column, enum hdf5_type type, size_t width, uint64_t first, size_t count,
             const void *values, struct err *e)
{
    return count == 0 || move(column, type, width, first, count, NULL, values)
               ? 0
               : hdf5_fail(e, ERR_IO, "cannot write", "values");
}

/* ---------------------------------------------------------- reading */

/* Whether the file's values are of this kind; the width of a text. */
static bool is_of_type(hid_t column, enum hdf5_type type, size_t *width)
{
    hid_t of = H5Dget_type(column);
    if (of < 0)
        return false;
    H5T_class_t class = H5Tget_class(of);
    size_t size = H5Tget_size(of), wanted = hdf5_size(type, size);
    bool ok = type == HDF5_TEXT ? class == H5T_STRING && H5Tis_variable_str(of) == 0
              : type == HDF5_FLOAT || type == HDF5_DOUBLE
                  ? class == H5T_FLOAT && size <= wanted
                  : class == H5T_INTEGER && size == wanted &&
                        (H5Tget_sign(of) == H5T_SGN_NONE) == (type == HDF5_U8 || type == HDF5_U32);
    H5Tclose(of);
    if (width)
        *width = size;
    return ok;
}

static bool has_count(hid_t column, uint64_t *count)
{
    hid_t space = H5Dget_space(column);
    hsize_t values = 0;
    bool ok = space >= 0 && H5Sget_simple_extent_ndims(space) == 1 &&
              H5Sget_simple_extent_dims(space, &values, NULL) == 1;
    if (space >= 0)
        H5Sclose(space);
    *count = values;
    return ok;
}

static int open_column(hid_t *column, hid_t group, const char *name, struct err *e)
{
    /* Chunks are read once and whole: keeping them would only copy them. */
    hid_t how = H5Pcreate(H5P_DATASET_ACCESS);
    *column = how >= 0 && H5Pset_chunk_cache(how, 1, 0, 1) >= 0 ? H5Dopen2(group, name, how)
                                                                : H5I_INVALID_HID;
    int rc = *column < 0 ? hdf5_fail(e, ERR_CORRUPT, "cannot read column", name) : 0;
    if (how >= 0)
        H5Pclose(how);
    return rc;
}

int hdf5_open_column(hid_t *column, hid_t group, const char *name, enum hdf5_type type,
                     size_t *width, uint64_t count, struct err *e)
{
    uint64_t values = 0;
    int rc = open_column(column, group, name, e);
    if (!rc && !is_of_type(*column, type, width))
        rc = err_set(e, ERR_CORRUPT, "column %s is of another type than it should be", name);
    if (!rc && (!has_count(*column, &values) || values != count))
        rc = err_set(e, ERR_CORRUPT, "column %s has %llu values, not %llu", name,
                     (unsigned long long)values, (unsigned long long)count);
    if (rc)
        hdf5_drop_column(column);
    return rc;
}

int hdf5_count(uint64_t *count, hid_t group, const char *name, struct err *e)
{
    hid_t column = H5I_INVALID_HID;
    int rc = open_column(&column, group, name, e);
    if (!rc && !has_count(column, count))
        rc = err_set(e, ERR_CORRUPT, "column %s is no list of values", name);
    hdf5_drop_column(&column);
    return rc;
}

int hdf5_get(hid_t column, enum hdf5_type type, size_t width, uint64_t first, size_t count,
             void *values, struct err *e)
{
    return count == 0 || move(column, type, width, first, count, values, NULL)
               ? 0
               : hdf5_fail(e, ERR_CORRUPT, "cannot read", "values");
}
