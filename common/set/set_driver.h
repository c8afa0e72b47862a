/*
 * How HDF5 writes a part: to a file as always, but a write that fails is kept for later.
 *
 * HDF5 does not survive a file that cannot be written to: closing it fails, keeps its memory and
 * its descriptor, and the tidying up at the end of the process crashes. So the library is told that
 * all went well, nothing more is written, and the reason is there for whoever asks.
 */
#pragma once

#include <hdf5.h>

/* Makes the file; *reason gets the errno of the first failure, and must stay until the file is
 * closed. H5I_INVALID_HID: HDF5 knows why. how: of the creation; access: gets the driver. */
hid_t set_driver_create(const char *path, hid_t how, hid_t access, int *reason);
