#include "set/set_columns.h"

const struct set_column set_row_columns[SET_ROW_COLUMNS] = {
    [SET_ROW_LABEL] = {"label", HDF5_FLOAT},
    [SET_ROW_PLACE] = {"place", HDF5_I32},
    [SET_ROW_PROPENSITY] = {"propensity", HDF5_DOUBLE},
    [SET_ROW_SCORE] = {"score", HDF5_FLOAT},
    [SET_ROW_PROPOSITION] = {"proposition", HDF5_I32},
    [SET_ROW_SEEN] = {"seen", HDF5_U32},
};

const struct set_column set_request_columns[SET_REQUEST_COLUMNS] = {
    [SET_REQUEST_ID] = {"id", HDF5_TEXT},
    [SET_REQUEST_USER] = {"user", HDF5_TEXT},
    [SET_REQUEST_PLACEMENT] = {"placement", HDF5_TEXT},
    [SET_REQUEST_MODEL] = {"model", HDF5_TEXT},
    [SET_REQUEST_VARIANT] = {"variant", HDF5_TEXT},
    [SET_REQUEST_TIMESTAMP] = {"timestamp", HDF5_I64},
    [SET_REQUEST_ROWS] = {"rows", HDF5_U32},
    [SET_REQUEST_SOURCE] = {"source", HDF5_U8},
    [SET_REQUEST_VERSION] = {"version", HDF5_I64},
    [SET_REQUEST_SHARE] = {"share", HDF5_DOUBLE},
    [SET_REQUEST_SEEN] = {"seen", HDF5_U32},
    [SET_REQUEST_SEGMENTS] = {"segments", HDF5_I32},
};
