#include "set/set_driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What comes with the list of access properties. */
struct info {
    int *reason;
};

/* HDF5's part first: it knows only that. */
struct file {
    H5FD_t base;
    int fd;
    haddr_t end_of_addresses, end_of_file;
    int *reason;
};

static struct file *file_of(H5FD_t *base)
{
    return (struct file *)(void *)base;
}

static const struct file *const_file_of(const H5FD_t *base)
{
    return (const struct file *)(const void *)base;
}

static void keep(struct file *f, int reason)
{
    if (*f->reason == 0)
        *f->reason = reason;
}

static H5FD_t *driver_open(const char *path, unsigned flags, hid_t access, haddr_t most)
{
    (void)most;
    const struct info *info = H5Pget_driver_info(access);
    if (!info || !(flags & H5F_ACC_TRUNC))
        return NULL;
    struct file *f = calloc(1, sizeof *f);
    if (!f) {
        *info->reason = ENOMEM;
        return NULL;
    }
    f->reason = info->reason;
    f->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (f->fd < 0) {
        keep(f, errno);
        free(f);
        return NULL;
    }
    return &f->base;
}

static herr_t driver_close(H5FD_t *base)
{
    struct file *f = file_of(base);
    if (close(f->fd) != 0)
        keep(f, errno);
    free(f);
    return 0;
}

static herr_t driver_query(const H5FD_t *base, unsigned long *flags)
{
    (void)base;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA;
    return 0;
}

static haddr_t driver_get_eoa(const H5FD_t *base, H5FD_mem_t type)
{
    (void)type;
    return const_file_of(base)->end_of_addresses;
}

static herr_t driver_set_eoa(H5FD_t *base, H5FD_mem_t type, haddr_t end)
{
    (void)type;
    file_of(base)->end_of_addresses = end;
    return 0;
}

static haddr_t driver_get_eof(const H5FD_t *base, H5FD_mem_t type)
{
    (void)type;
    return const_file_of(base)->end_of_file;
}

/* Behind the end, and behind what could not be written, are zeros. */
static herr_t driver_read(H5FD_t *base, H5FD_mem_t type, hid_t how, haddr_t at, size_t size,
                          void *out)
{
    (void)type;
    (void)how;
    struct file *f = file_of(base);
    for (size_t done = 0; done < size;) {
        ssize_t n = pread(f->fd, (uint8_t *)out + done, size - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            keep(f, errno);
        if (n <= 0) {
            memset((uint8_t *)out + done, 0, size - done);
            break;
        }
        done += (size_t)n;
    }
    return 0;
}

static herr_t driver_write(H5FD_t *base, H5FD_mem_t type, hid_t how, haddr_t at, size_t size,
                           const void *bytes)
{
    (void)type;
    (void)how;
    struct file *f = file_of(base);
    for (size_t done = 0; done < size && *f->reason == 0;) {
        ssize_t n = pwrite(f->fd, (const uint8_t *)bytes + done, size - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            keep(f, errno);
        else
            done += (size_t)n;
    }
    f->end_of_file = at + size > f->end_of_file ? at + size : f->end_of_file;
    return 0;
}

static herr_t driver_truncate(H5FD_t *base, hid_t how, hbool_t is_closing)
{
    (void)how;
    (void)is_closing;
    struct file *f = file_of(base);
    if (*f->reason == 0 && f->end_of_file != f->end_of_addresses &&
        ftruncate(f->fd, (off_t)f->end_of_addresses) != 0)
        keep(f, errno);
    f->end_of_file = f->end_of_addresses;
    return 0;
}

static const H5FD_class_t driver = {
#ifdef H5FD_CLASS_VERSION
    .version = H5FD_CLASS_VERSION,
    .value = 512, /* the first that HDF5 leaves to others' drivers */
#endif
    .name = "flotilla",
    .maxaddr = INT64_MAX,
    .fc_degree = H5F_CLOSE_WEAK,
    .fapl_size = sizeof(struct info),
    .open = driver_open,
    .close = driver_close,
    .query = driver_query,
    .get_eoa = driver_get_eoa,
    .set_eoa = driver_set_eoa,
    .get_eof = driver_get_eof,
    .read = driver_read,
    .write = driver_write,
    .truncate = driver_truncate,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

hid_t set_driver_create(const char *path, hid_t how, hid_t access, int *reason)
{
    const struct info info = {reason};
    hid_t id = H5FDregister(&driver), file = H5I_INVALID_HID;
    *reason = 0;
    if (id >= 0 && H5Pset_driver(access, id, &info) >= 0)
        file = H5Fcreate(path, H5F_ACC_TRUNC, how, access);
    /* The file and the list of properties hold on to it as long as they need it. */
    if (id >= 0)
        H5FDunregister(id);
    return file;
}
