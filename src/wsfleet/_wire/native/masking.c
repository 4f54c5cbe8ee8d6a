/*
 * Frames on their way out (RFC 6455 sections 5.2 and 5.3); the twin of `masking.py`.
 */

#include "speedups.h"

enum { KEY_SIZE = 4, KEYS_SIZE = 4096 };

static unsigned char keys[KEYS_SIZE];
static int keys_left;
static PyObject *urandom;

PyDoc_STRVAR(forget_keys_doc, "Use none of the mask keys that were fetched: a fork has them too.");

static PyObject *
forget_keys(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    keys_left = 0;
    Py_RETURN_NONE;
}

/* Unpredictable keys (RFC 6455 section 5.3), fetched from the system by the thousand. */
static int
next_key(unsigned char key[KEY_SIZE])
{
    if (!keys_left) {
        PyObject *fresh = PyObject_CallFunction(urandom, "i", (int)KEYS_SIZE);
        if (fresh == NULL)
            return -1;
        if (!PyBytes_Check(fresh) || PyBytes_GET_SIZE(fresh) != KEYS_SIZE) {
            PyErr_SetString(PyExc_SystemError, "os.urandom gave something else than bytes");
            Py_DECREF(fresh);
            return -1;
        }
        memcpy(keys, PyBytes_AS_STRING(fresh), KEYS_SIZE);
        keys_left = KEYS_SIZE;
        Py_DECREF(fresh);
    }
    keys_left -= KEY_SIZE;
    memcpy(key, keys + keys_left, KEY_SIZE);
    return 0;
}

static void
mask_into(unsigned char *__restrict to, const unsigned char *__restrict from, Py_ssize_t size,
          const unsigned char key[KEY_SIZE])
{
    uint64_t wide;
    memcpy(&wide, key, KEY_SIZE);
    memcpy((unsigned char *)&wide + KEY_SIZE, key, KEY_SIZE);
    Py_ssize_t at = 0;
    for (; at + 8 <= size; at += 8) {
        uint64_t word;
        memcpy(&word, from + at, 8);
        word ^= wide;
        memcpy(to + at, &word, 8);
    }
    for (; at < size; at++)
        to[at] = from[at] ^ key[at & 3];
}

PyObject *
client_frame(int first, const unsigned char *payload, Py_ssize_t size)
{
    const int length_size = size <= 125 ? 0 : size <= 0xFFFF ? 2 : 8;
    const Py_ssize_t head = 2 + length_size;
    if (size > PY_SSIZE_T_MAX - 64)
        return PyErr_NoMemory();
    PyObject *frame = PyBytes_FromStringAndSize(NULL, head + KEY_SIZE + size);
    if (frame == NULL)
        return NULL;
    unsigned char *out = (unsigned char *)PyBytes_AS_STRING(frame);
    out[0] = (unsigned char)first;
    out[1] = (unsigned char)(0x80 | (length_size == 0 ? size : length_size == 2 ? 126 : 127));
    for (int i = 0; i < length_size; i++)
        out[2 + i] = (unsigned char)((uint64_t)size >> 8 * (length_size - 1 - i));
    if (next_key(out + head) < 0) {
        Py_DECREF(frame);
        return NULL;
    }
    mask_into(out + head + KEY_SIZE, payload, size, out + head);
    return frame;
}

PyDoc_STRVAR(encode_doc, "encode(opcode, payload, *, compressed=False)\n--\n\n"
                         "Return one final, masked client frame (RFC 6455 section 5.2).");

static PyObject *
encode(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    const Py_ssize_t named = names == NULL ? 0 : PyTuple_GET_SIZE(names);
    if (count != 2 || named > 1 ||
        (named && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "compressed"))) {
        PyErr_SetString(PyExc_TypeError, "encode() takes an opcode, a payload, and compressed=");
        return NULL;
    }
    const long opcode = PyLong_AsLong(args[0]);
    if (opcode == -1 && PyErr_Occurred())
        return NULL;
    const int compressed = named ? PyObject_IsTrue(args[2]) : 0;
    if (compressed < 0)
        return NULL;
    Py_buffer payload;
    if (PyObject_GetBuffer(args[1], &payload, PyBUF_SIMPLE) < 0)
        return NULL;
    PyObject *frame =
        client_frame((compressed ? 0xC0 : 0x80) | (int)(opcode & 0x0F), payload.buf, payload.len);
    PyBuffer_Release(&payload);
    return frame;
}

/* The bytes of a payload that is bytes, or a text of ASCII characters; released by the caller,
 * whatever it is. */
static int
payload_of(PyObject *payload, Py_buffer *view)
{
    if (!PyUnicode_Check(payload))
        return PyObject_GetBuffer(payload, view, PyBUF_SIMPLE);
    if (!PyUnicode_IS_COMPACT_ASCII(payload)) {
        PyErr_SetString(PyExc_ValueError, "a text in pieces is of ASCII characters");
        return -1;
    }
    return PyBuffer_FillInfo(view, payload, PyUnicode_1BYTE_DATA(payload),
                             PyUnicode_GET_LENGTH(payload), 1, PyBUF_SIMPLE);
}

PyDoc_STRVAR(masked_piece_doc, "masked_piece(head, payload, at, size, key)\n--\n\n"
                               "Return a head and a piece of a payload, masked.");

static PyObject *
masked_piece(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer head, key, view;
    PyObject *payload, *piece = NULL;
    Py_ssize_t at, size;
    if (!PyArg_ParseTuple(args, "y*Onny*", &head, &payload, &at, &size, &key))
        return NULL;
    if (key.len != KEY_SIZE || at < 0 || size < 0) {
        PyErr_SetString(PyExc_ValueError, "a key is of 4 bytes, and a piece inside of a payload");
    } else if (payload_of(payload, &view) == 0) {
        const Py_ssize_t left = at < view.len ? view.len - at : 0;
        const Py_ssize_t taken = size < left ? size : left;
        piece = PyBytes_FromStringAndSize(NULL, head.len + taken);
        if (piece != NULL) {
            unsigned char *out = (unsigned char *)PyBytes_AS_STRING(piece);
            memcpy(out, head.buf, (size_t)head.len);
            mask_into(out + head.len, (const unsigned char *)view.buf + at, taken, key.buf);
        }
        PyBuffer_Release(&view);
    }
    PyBuffer_Release(&head);
    PyBuffer_Release(&key);
    return piece;
}

PyMethodDef masking_functions[] = {
    {"encode", (PyCFunction)(void (*)(void))encode, METH_FASTCALL | METH_KEYWORDS, encode_doc},
    {"masked_piece", masked_piece, METH_VARARGS, masked_piece_doc},
    {"forget_keys", forget_keys, METH_NOARGS, forget_keys_doc},
    {NULL},
};

int
set_up_masking(void)
{
    PyObject *os = PyImport_ImportModule("os");
    urandom = os == NULL ? NULL : PyObject_GetAttrString(os, "urandom");
    Py_XDECREF(os);
    return urandom == NULL ? -1 : 0;
}
