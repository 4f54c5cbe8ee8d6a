/*
 * What a text message decodes to; the twin of `json_or_text` in `messages.py`.
 */

#include "speedups.h"

static PyObject *decode_json, *decode_error, *name_decode;

static PyObject *
json_or_text(PyObject *Py_UNUSED(module), PyObject *payload)
{
    PyObject *decoded = PyObject_CallOneArg(decode_json, payload);
    if (decoded != NULL || !(PyErr_ExceptionMatches(decode_error) ||
                             PyErr_ExceptionMatches(PyExc_RecursionError)))
        return decoded;
    PyErr_Clear();
    return PyObject_CallMethodNoArgs(payload, name_decode);
}

PyMethodDef json_functions[] = {
    {"json_or_text", json_or_text, METH_O,
     PyDoc_STR("Decode JSON; text that is none stays text. See the twin in Python.")},
    {NULL},
};

int
set_up_json(void)
{
    PyObject *module = PyImport_ImportModule("msgspec.json");
    PyObject *decoder = module == NULL ? NULL : PyObject_CallMethod(module, "Decoder", NULL);
    Py_XDECREF(module);
    name_decode = PyUnicode_InternFromString("decode");
    decode_json = decoder == NULL ? NULL : PyObject_GetAttr(decoder, name_decode);
    Py_XDECREF(decoder);
    decode_error = from_python("msgspec", "DecodeError");
    return decode_json == NULL || decode_error == NULL || name_decode == NULL ? -1 : 0;
}
