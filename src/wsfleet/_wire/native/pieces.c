/*
 * A message that comes in pieces; the twin of `pieces.py`.
 */

#include "speedups.h"

enum { STEP = 1 << 18 }; /* bytes that may be allocated ahead of their coming */

static unsigned char *
bytes_held(Pieces *self)
{
    return (unsigned char *)PyUnicode_DATA(self->held);
}

/* Make room for `more` bytes, and for some of those that are announced after them. */
static int
make_room(Pieces *self, Py_ssize_t more, Py_ssize_t announced)
{
    if (more > PY_SSIZE_T_MAX / 4 - self->size) {
        PyErr_NoMemory();
        return -1;
    }
    const Py_ssize_t needed = self->size + more;
    if (needed <= self->room)
        return 0;
    const Py_ssize_t ahead = STEP + needed;
    /* What is announced may be all that comes: then there is nothing to give back at the end. */
    const Py_ssize_t unannounced = needed < 4 * STEP ? needed / 2 : needed / 8;
    Py_ssize_t room =
        needed + (!announced ? unannounced : announced < ahead ? announced : ahead);
    if (self->held == NULL) {
        if (!announced && room < self->usual)
            room = self->usual;
        self->held = PyUnicode_New(room, 0x7F);
        if (self->held == NULL)
            return -1;
    } else if (PyUnicode_Resize(&self->held, room) < 0) {
        return -1;
    }
    self->room = room;
    return 0;
}

/* The bits that any of the bytes has. */
static unsigned char
bits_of(const unsigned char *at, Py_ssize_t size)
{
    uint64_t all = 0;
    unsigned char last = 0;
    Py_ssize_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t word;
        memcpy(&word, at + i, 8);
        all |= word;
    }
    for (; i < size; i++)
        last |= at[i];
    return last | (all & 0x8080808080808080u ? 0x80 : 0);
}

int
pieces_append(Pieces *self, const unsigned char *piece, Py_ssize_t size, Py_ssize_t announced)
{
    if (make_room(self, size, announced) < 0)
        return -1;
    if (size) {
        self->all |= copy_bits(bytes_held(self) + self->size, piece, size);
        self->size += size;
    }
    return 0;
}

PyDoc_STRVAR(add_doc, "add(piece, more=0)\n--\n\nHold a piece more; see the twin in Python.");

static PyObject *
pieces_add(Pieces *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 1 && count != 2) {
        PyErr_SetString(PyExc_TypeError, "add() takes a piece, and a number");
        return NULL;
    }
    const Py_ssize_t announced = count == 2 ? PyLong_AsSsize_t(args[1]) : 0;
    if (announced < 0) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "less than nothing was announced");
        return NULL;
    }
    Py_buffer piece;
    if (PyObject_GetBuffer(args[0], &piece, PyBUF_SIMPLE) < 0)
        return NULL;
    const int failed = pieces_append(self, piece.buf, piece.len, announced) < 0;
    PyBuffer_Release(&piece);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(place_doc, "place(most)\n--\n\n"
                       "Return a view for at most so many of the bytes that come next; it is good "
                       "until `placed`.");

static PyObject *
pieces_place(Pieces *self, PyObject *arg)
{
    const Py_ssize_t most = PyLong_AsSsize_t(arg);
    if (most < 1) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "room for nothing was asked for");
        return NULL;
    }
    if (self->room == self->size && make_room(self, 1, most - 1) < 0)
        return NULL;
    const Py_ssize_t free = self->room - self->size;
    self->lent = free < most ? free : most;
    return PyMemoryView_FromObject((PyObject *)self);
}

PyDoc_STRVAR(placed_doc, "placed(size)\n--\n\nHold the first bytes that were put into `place`.");

static PyObject *
pieces_placed(Pieces *self, PyObject *arg)
{
    const Py_ssize_t size = PyLong_AsSsize_t(arg);
    if (size < 0 || size > self->lent) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "more was filled than there was room for");
        return NULL;
    }
    self->all |= bits_of(bytes_held(self) + self->size, size);
    self->size += size;
    self->lent = 0;
    Py_RETURN_NONE;
}

/* A view keeps what it shows alive, and with it the place where that is: a str that somebody
 * else has is copied where it would have to grow. */
static int
pieces_getbuffer(Pieces *self, Py_buffer *view, int flags)
{
    if (!self->lent) {
        view->obj = NULL;
        PyErr_SetString(PyExc_BufferError, "there is no room to show");
        return -1;
    }
    if (PyBuffer_FillInfo(view, (PyObject *)self, bytes_held(self) + self->size, self->lent, 0,
                          flags) < 0)
        return -1;
    view->internal = Py_NewRef(self->held);
    return 0;
}

static void
pieces_releasebuffer(Pieces *Py_UNUSED(self), Py_buffer *view)
{
    Py_CLEAR(view->internal);
}

static PyBufferProcs pieces_as_buffer = {
    .bf_getbuffer = (getbufferproc)pieces_getbuffer,
    .bf_releasebuffer = (releasebufferproc)pieces_releasebuffer,
};

static void
let_go(Pieces *self)
{
    Py_CLEAR(self->held);
    /* To grow to a megabyte step by step takes longer than all else that is done with it. */
    self->usual = self->size < STEP ? 0 : self->size < 4 * STEP ? self->size : 4 * STEP;
    self->size = self->room = self->lent = 0;
    self->all = 0;
}

PyDoc_STRVAR(take_doc, "take()\n--\n\nReturn all of them, and hold nothing.");

static PyObject *
pieces_take(Pieces *self, PyObject *Py_UNUSED(ignored))
{
    const char *held = self->held == NULL ? NULL : (const char *)bytes_held(self);
    PyObject *whole = PyBytes_FromStringAndSize(held, self->size);
    let_go(self);
    return whole;
}

PyDoc_STRVAR(take_text_doc, "take_text()\n--\n\nReturn all of them as text, and hold nothing.");

static PyObject *
pieces_take_text(Pieces *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *text;
    if (self->size && !(self->all & 0x80)) {
        text = self->held;
        self->held = NULL;
        if (self->size != self->room && PyUnicode_Resize(&text, self->size) < 0)
            Py_CLEAR(text);
    } else {
        const char *held = self->held == NULL ? "" : (const char *)bytes_held(self);
        text = PyUnicode_DecodeUTF8(held, self->size, NULL);
    }
    let_go(self);
    return text;
}

static void
pieces_dealloc(Pieces *self)
{
    Py_CLEAR(self->held);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMemberDef pieces_members[] = {
    {"size", T_PYSSIZET, offsetof(Pieces, size), READONLY, "How many bytes are held."},
    {NULL},
};

static PyMethodDef pieces_methods[] = {
    {"add", (PyCFunction)(void (*)(void))pieces_add, METH_FASTCALL, add_doc},
    {"place", (PyCFunction)pieces_place, METH_O, place_doc},
    {"placed", (PyCFunction)pieces_placed, METH_O, placed_doc},
    {"take", (PyCFunction)pieces_take, METH_NOARGS, take_doc},
    {"take_text", (PyCFunction)pieces_take_text, METH_NOARGS, take_text_doc},
    {NULL},
};

PyTypeObject PiecesType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "wsfleet._wire._speedups.Pieces",
    .tp_doc = PyDoc_STR("Bytes that are collected and taken whole; see the twin in Python."),
    .tp_basicsize = sizeof(Pieces),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = PyType_GenericNew,
    .tp_dealloc = (destructor)pieces_dealloc,
    .tp_as_buffer = &pieces_as_buffer,
    .tp_members = pieces_members,
    .tp_methods = pieces_methods,
};
