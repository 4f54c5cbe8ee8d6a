/*
 * The straight way through a read; the twin of `straight.py`.
 */

#include "speedups.h"

enum { CONT = 0x0, TEXT = 0x1, BINARY = 0x2, FIN = 0x80, RSV1 = 0x40, RSV = 0x70, OPCODE = 0x0F };

/* Frames that are taken in one call, as in the twin. */
enum { MOST_FRAMES = 4096 };

/* Bytes of a frame that are still to come, from which they are read to where they stay. */
enum { LARGE = 1 << 17 };

static PyObject *name_on_text, *name_on_binary, *name_continue, *name_take_next, *name_not_utf8,
    *name_place, *name_finish;
static PyObject *bytes_decode; /* the text factory that is done here */

typedef struct {
    PyObject_HEAD
    PyObject *receiver;
    PyObject *text_factory;
    PyObject *limit;     /* bytes of the largest message, or None */
    Pieces *message;     /* what came of a message that has not come whole */
    PyObject *rest;      /* bytes of a frame that is not taken before it has come whole */
    Py_ssize_t max_size; /* the limit; the largest number where there is none */
    Py_ssize_t missing;  /* bytes of a frame's payload that have not come */
    int left;            /* frames that may still be taken in this call */
    Py_ssize_t size;     /* bytes of the message that is being delivered, inflated */
    int opened_by;       /* first byte of a message whose fragments have not all come, or 0 */
    char stopped;
    char busy;
    char behind; /* whether bytes that were fed still wait */
} Straight;

static Py_ssize_t
big_endian(const unsigned char *at, int size)
{
    uint64_t number = 0;
    for (int i = 0; i < size; i++)
        number = number << 8 | at[i];
    return (Py_ssize_t)number;
}

/* A frame of at most `most` bytes, at `at`; returns where it ends, or NULL where it has not come
 * whole, or is none that is taken here. */
static const unsigned char *
whole_frame(const unsigned char *at, const unsigned char *end, Py_ssize_t most,
            const unsigned char **payload)
{
    const Py_ssize_t left = end - at;
    if (left < 2 || at[0] & RSV)
        return NULL;
    const int form = at[1]; /* a masked frame's is above 127 */
    Py_ssize_t head = 2, size = form;
    if (form > 125) {
        const int bytes = form == 126 ? 2 : 8;
        head += bytes;
        if (form > 127 || left < head)
            return NULL;
        size = big_endian(at + 2, bytes);
        if (size <= (form == 126 ? 125 : 0xFFFF)) /* not the shortest form, or negative */
            return NULL;
    }
    if (size > left - head || size > most)
        return NULL;
    *payload = at + head;
    return *payload + size;
}

/* The text of UTF-8; most is ASCII. */
static PyObject *
decode_utf8(const unsigned char *payload, Py_ssize_t size)
{
    PyObject *text = PyUnicode_New(size, 0x7F);
    if (text == NULL || !size || !(copy_bits(PyUnicode_1BYTE_DATA(text), payload, size) & 0x80))
        return text;
    Py_DECREF(text);
    return PyUnicode_DecodeUTF8((const char *)payload, size, NULL);
}

static PyObject *
text_of(Straight *self, const unsigned char *payload, Py_ssize_t size)
{
    PyObject *text;
    if (self->text_factory == bytes_decode) {
        text = decode_utf8(payload, size);
    } else {
        PyObject *bytes = PyBytes_FromStringAndSize((const char *)payload, size);
        if (bytes == NULL)
            return NULL;
        text = PyObject_CallOneArg(self->text_factory, bytes);
        Py_DECREF(bytes);
    }
    if (text == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        PyErr_Clear();
        return PyObject_CallMethodNoArgs((PyObject *)self, name_not_utf8); /* raises */
    }
    return text;
}

static int
deliver(Straight *self, PyObject *on_text, PyObject *on_binary, int first,
        const unsigned char *payload, Py_ssize_t size)
{
    const int is_text = (first & OPCODE) == TEXT;
    self->size = size;
    PyObject *message = is_text ? text_of(self, payload, size)
                                : PyBytes_FromStringAndSize((const char *)payload, size);
    if (message == NULL)
        return -1;
    PyObject *done = PyObject_CallOneArg(is_text ? on_text : on_binary, message);
    Py_DECREF(message);
    if (done == NULL)
        return -1;
    Py_DECREF(done);
    return 0;
}

/* Whether a frame is one of a message that nobody compressed, and where it may stand. */
static int
is_taken(const Straight *self, int first)
{
    const int opcode = first & OPCODE;
    if (self->opened_by)
        return opcode == CONT && !(self->opened_by & RSV1);
    return opcode == TEXT || opcode == BINARY;
}

/* Take a frame of a message in several. */
static int
collect(Straight *self, int first, const unsigned char *payload, Py_ssize_t size)
{
    if (!self->opened_by)
        self->opened_by = first;
    if (pieces_append(self->message, payload, size, 0) < 0)
        return -1;
    if (!(first & FIN))
        return 0;
    PyObject *done = PyObject_CallMethodNoArgs((PyObject *)self, name_finish);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Take the frames of messages, up to the first of another kind; return where that begins, or
 * -1. */
static Py_ssize_t
take_whole(Straight *self, const Py_buffer *data, Py_ssize_t pos)
{
    const unsigned char *begin = data->buf, *end = begin + data->len, *at = begin + pos;
    const unsigned char *payload;
    PyObject *on_text = PyObject_GetAttr(self->receiver, name_on_text);
    PyObject *on_binary = PyObject_GetAttr(self->receiver, name_on_binary);
    int failed = on_text == NULL || on_binary == NULL;
    while (!failed && !self->stopped && self->left > 0) {
        if (at == end || !is_taken(self, at[0]))
            break;
        const Py_ssize_t most = self->max_size - self->message->size;
        const unsigned char *after = whole_frame(at, end, most, &payload);
        if (after == NULL)
            break;
        const Py_ssize_t size = after - payload;
        self->left--;
        failed = at[0] & FIN && !self->opened_by
                     ? deliver(self, on_text, on_binary, at[0], payload, size)
                     : collect(self, at[0], payload, size);
        at = after;
    }
    Py_XDECREF(on_text);
    Py_XDECREF(on_binary);
    return failed ? -1 : at - begin;
}

/* Call a method of the subclass that says where the next frame begins: a negative number says
 * that everything was taken. Returns -2 on an error. */
static Py_ssize_t
ask(Straight *self, PyObject *method, PyObject *data, Py_ssize_t pos)
{
    PyObject *number = PyLong_FromSsize_t(pos);
    if (number == NULL)
        return -2;
    PyObject *answer = PyObject_CallMethodObjArgs((PyObject *)self, method, data, number, NULL);
    Py_DECREF(number);
    if (answer == NULL)
        return -2;
    Py_ssize_t next = PyLong_AsSsize_t(answer);
    Py_DECREF(answer);
    if (next < 0)
        return PyErr_Occurred() ? -2 : -1;
    return next;
}

/* Keep the bytes from a position on for the next call; returns -1, or -2 on an error. */
static Py_ssize_t
let_wait(Straight *self, const Py_buffer *data, Py_ssize_t pos)
{
    PyObject *rest = PyBytes_FromStringAndSize((const char *)data->buf + pos, data->len - pos);
    if (rest == NULL)
        return -2;
    Py_SETREF(self->rest, rest);
    self->behind = 1;
    return -1;
}

static int
take_all(Straight *self, PyObject *data)
{
    Py_buffer view;
    Py_ssize_t pos = 0;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return -1;
    if (self->missing)
        pos = ask(self, name_continue, data, 0);
    while (pos >= 0) {
        if (!self->stopped) {
            pos = take_whole(self, &view, pos);
            if (pos < 0) {
                pos = -2;
                break;
            }
        }
        if (self->stopped || pos == view.len)
            break;
        if (self->left <= 0) {
            pos = let_wait(self, &view, pos);
            break;
        }
        self->left--;
        pos = ask(self, name_take_next, data, pos);
    }
    PyBuffer_Release(&view);
    return pos == -2 ? -1 : 0;
}

/* The bytes that were kept of a header, and those of a read. */
static PyObject *
with_rest(Straight *self, PyObject *data)
{
    PyObject *whole = PyByteArray_Concat(self->rest, data);
    if (whole != NULL)
        Py_SETREF(self->rest, PyBytes_FromStringAndSize(NULL, 0));
    return whole;
}

PyDoc_STRVAR(feed_doc, "Decode a read, or a part of it; see the twin in Python.");

static PyObject *
straight_feed(Straight *self, PyObject *data)
{
    if (self->stopped) {
        self->behind = 0;
        Py_RETURN_NONE;
    }
    if (self->receiver == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the decoder was not set up");
        return NULL;
    }
    if (self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "a receiver fed the decoder that called it");
        return NULL;
    }
    if (PyBytes_GET_SIZE(self->rest))
        data = with_rest(self, data);
    else
        Py_INCREF(data);
    self->busy = 1;
    self->left = MOST_FRAMES;
    self->behind = 0;
    const int failed = data == NULL || take_all(self, data) < 0;
    self->busy = 0;
    Py_XDECREF(data);
    if (failed) {
        self->stopped = 1;
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(straight_place_doc, "place()\n--\n\n"
                                 "Where the next bytes can be put; see the twin in Python.");

static PyObject *
straight_place(Straight *self, PyObject *Py_UNUSED(ignored))
{
    if (self->missing < LARGE || self->stopped)
        Py_RETURN_NONE;
    return PyObject_CallMethodNoArgs((PyObject *)self, name_place);
}

static int
straight_init(Straight *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"receiver", "max_message_size", "text_factory", NULL};
    PyObject *receiver, *limit, *text_factory;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO", names, &receiver, &limit,
                                     &text_factory))
        return -1;
    self->max_size = limit == Py_None ? PY_SSIZE_T_MAX : PyLong_AsSsize_t(limit);
    if (self->max_size < 0 && PyErr_Occurred())
        return -1;
    Py_XSETREF(self->receiver, Py_NewRef(receiver));
    Py_XSETREF(self->text_factory, Py_NewRef(text_factory));
    Py_XSETREF(self->limit, Py_NewRef(limit));
    Py_XSETREF(self->message, (Pieces *)PyObject_CallNoArgs((PyObject *)&PiecesType));
    Py_XSETREF(self->rest, PyBytes_FromStringAndSize(NULL, 0));
    self->missing = self->size = 0;
    self->opened_by = 0;
    self->stopped = self->busy = self->behind = 0;
    self->left = 0;
    return self->rest == NULL || self->message == NULL ? -1 : 0;
}

static int
straight_traverse(Straight *self, visitproc visit, void *arg)
{
    Py_VISIT(self->receiver);
    Py_VISIT(self->text_factory);
    return 0;
}

static int
straight_clear(Straight *self)
{
    Py_CLEAR(self->receiver);
    Py_CLEAR(self->text_factory);
    return 0;
}

static void
straight_dealloc(Straight *self)
{
    PyObject_GC_UnTrack(self);
    straight_clear(self);
    Py_CLEAR(self->limit);
    Py_CLEAR(self->message);
    Py_CLEAR(self->rest);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMemberDef straight_members[] = {
    {"_receiver", T_OBJECT_EX, offsetof(Straight, receiver), READONLY, NULL},
    {"_text_factory", T_OBJECT_EX, offsetof(Straight, text_factory), READONLY, NULL},
    {"_limit", T_OBJECT_EX, offsetof(Straight, limit), READONLY, NULL},
    {"_message", T_OBJECT_EX, offsetof(Straight, message), READONLY, NULL},
    {"_rest", T_OBJECT_EX, offsetof(Straight, rest), 0, NULL},
    {"size", T_PYSSIZET, offsetof(Straight, size), 0, NULL},
    {"_missing", T_PYSSIZET, offsetof(Straight, missing), 0, NULL},
    {"_opened_by", T_INT, offsetof(Straight, opened_by), 0, NULL},
    {"_left", T_INT, offsetof(Straight, left), 0, NULL},
    {"_stopped", T_BOOL, offsetof(Straight, stopped), 0, NULL},
    {"behind", T_BOOL, offsetof(Straight, behind), READONLY, "Whether fed bytes still wait."},
    {NULL},
};

static PyMethodDef straight_methods[] = {
    {"feed", (PyCFunction)straight_feed, METH_O, feed_doc},
    {"place", (PyCFunction)straight_place, METH_NOARGS, straight_place_doc},
    {NULL},
};

PyTypeObject StraightDecoder = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "wsfleet._wire._speedups.StraightDecoder",
    .tp_doc = PyDoc_STR("Takes frames that are whole messages; see the twin in Python."),
    .tp_basicsize = sizeof(Straight),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)straight_init,
    .tp_traverse = (traverseproc)straight_traverse,
    .tp_clear = (inquiry)straight_clear,
    .tp_dealloc = (destructor)straight_dealloc,
    .tp_members = straight_members,
    .tp_methods = straight_methods,
};

int
set_up_decoder(void)
{
    name_on_text = PyUnicode_InternFromString("on_text");
    name_on_binary = PyUnicode_InternFromString("on_binary");
    name_continue = PyUnicode_InternFromString("_continue");
    name_take_next = PyUnicode_InternFromString("_take_next");
    name_not_utf8 = PyUnicode_InternFromString("_not_utf8");
    name_place = PyUnicode_InternFromString("_place");
    name_finish = PyUnicode_InternFromString("_finish_pieces");
    bytes_decode = PyObject_GetAttrString((PyObject *)&PyBytes_Type, "decode");
    if (!name_on_text || !name_on_binary || !name_continue || !name_take_next || !name_not_utf8 ||
        !name_place || !name_finish || !bytes_decode)
        return -1;
    return PyType_Ready(&StraightDecoder);
}
