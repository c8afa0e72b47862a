"""XGBoost's own library, through ctypes: trains the models of tests and says what they predict.

Rows are lists of floats, NaN is a missing value. One thread.
"""
import array
import ctypes
import ctypes.util
import math

MARGIN, CONTRIBUTIONS = 1, 4        # option_mask of XGBoosterPredict


def library():
    name = ctypes.util.find_library("xgboost")
    if not name:
        raise RuntimeError("libxgboost is not there: deploy/local/install.sh installs it")
    found = ctypes.CDLL(name)
    found.XGBGetLastError.restype = ctypes.c_char_p
    return found


LIBRARY = library()


def must(status):
    if status != 0:
        raise RuntimeError(LIBRARY.XGBGetLastError().decode())


def floats(values):
    return (ctypes.c_float * len(values))(*values)


class Matrix:
    def __init__(self, rows, labels=None):
        self.handle = ctypes.c_void_p()
        must(LIBRARY.XGDMatrixCreateFromMat(floats([v for row in rows for v in row]), ctypes.c_uint64(len(rows)),
                                            ctypes.c_uint64(len(rows[0])), ctypes.c_float(math.nan),
                                            ctypes.byref(self.handle)))
        if labels is not None:
            must(LIBRARY.XGDMatrixSetFloatInfo(self.handle, b"label", floats(labels), ctypes.c_uint64(len(labels))))

    def __del__(self):
        LIBRARY.XGDMatrixFree(self.handle)


class Booster:
    """A model, trained for some rounds. parameters: XGBoost's."""

    def __init__(self, rows, labels, rounds, **parameters):
        self.handle = ctypes.c_void_p()
        data = Matrix(rows, labels)
        must(LIBRARY.XGBoosterCreate((ctypes.c_void_p * 1)(data.handle), ctypes.c_uint64(1), ctypes.byref(self.handle)))
        for name, value in {"nthread": 1, "verbosity": 0, **parameters}.items():
            must(LIBRARY.XGBoosterSetParam(self.handle, name.encode(), str(value).encode()))
        for i in range(rounds):
            must(LIBRARY.XGBoosterUpdateOneIter(self.handle, i, data.handle))

    @classmethod
    def load(cls, path):
        """The model of a file."""
        model = cls.__new__(cls)
        model.handle = ctypes.c_void_p()
        must(LIBRARY.XGBoosterCreate(None, ctypes.c_uint64(0), ctypes.byref(model.handle)))
        must(LIBRARY.XGBoosterSetParam(model.handle, b"nthread", b"1"))
        must(LIBRARY.XGBoosterLoadModel(model.handle, str(path).encode()))
        return model

    def __del__(self):
        LIBRARY.XGBoosterFree(self.handle)

    def save(self, path):
        """UBJ or JSON, as the name ends."""
        must(LIBRARY.XGBoosterSaveModel(self.handle, str(path).encode()))

    def predict(self, rows, what=0):
        """Scores, MARGIN or CONTRIBUTIONS, in one array of float32."""
        count, out, data = ctypes.c_uint64(), ctypes.POINTER(ctypes.c_float)(), Matrix(rows)
        must(LIBRARY.XGBoosterPredict(self.handle, data.handle, what, 0, 0, ctypes.byref(count), ctypes.byref(out)))
        return array.array("f", out[:count.value])

    def scores(self, rows):
        return self.predict(rows)

    def margins(self, rows):
        return self.predict(rows, MARGIN)

    def contributions(self, rows):
        """For each row, one of each column and the bias."""
        flat, width = self.predict(rows, CONTRIBUTIONS), len(rows[0]) + 1
        return [flat[i:i + width] for i in range(0, len(flat), width)]
