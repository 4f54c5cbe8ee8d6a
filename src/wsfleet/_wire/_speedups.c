/*
 * What the codec does with every message: the loop over the frames of a read, the pieces of a
 * message that came in several, and the frame of one that is sent.
 *
 * Rule 1: everything here has a twin in Python, and gives the same for the same bytes:
 *         `straight.py` for StraightDecoder, `pieces.py` for Pieces, `masking.py` for encode().
 * Rule 2: what is not the common case (control frames, fragments, compressed or broken ones) is
 *         left to Python.
 * Rule 3: no state is shared but the mask keys, which the GIL guards.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <structmember.h>

enum { CONT = 0x0, TEXT = 0x1, BINARY = 0x2, FIN = 0x80, RSV1 = 0x40, RSV = 0x70, OPCODE = 0x0F };

/* Bytes of a frame that are still to come, from which they are read to where they stay. */
enum { LARGE = 1 << 17 };

static PyObject *name_on_text, *name_on_binary, *name_continue, *name_take_next, *name_not_utf8,
    *name_place, *name_finish;
static PyObject *bytes_decode; /* the text factory that is done here */

/* ----------------------------------------------------------- a message that comes in pieces */

typedef struct {
    PyObject_HEAD
    /* A str that nobody else knows, of ASCII characters, filled as far as `size`: the pieces of
     * a text of ASCII characters become that text without a copy. */
    PyObject *held;
    Py_ssize_t size;
    Py_ssize_t room;
    Py_ssize_t lent;   /* bytes after those that are filled which the next view shows */
    unsigned char all; /* the bits that any of the bytes has */
} Pieces;

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
    const Py_ssize_t room =
        needed + (!announced ? unannounced : announced < ahead ? announced : ahead);
    if (self->held == NULL) {
        self->held = PyUnicode_New(room, 0x7F);
        if (self->held == NULL)
            return -1;
    } else if (PyUnicode_Resize(&self->held, room) < 0) {
        return -1;
    }
    self->room = room;
    return 0;
}

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

static int
append(Pieces *self, const unsigned char *piece, Py_ssize_t size, Py_ssize_t announced)
{
    if (make_room(self, size, announced) < 0)
        return -1;
    if (size) {
        memcpy(bytes_held(self) + self->size, piece, (size_t)size);
        self->all |= bits_of(piece, size);
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
    const int failed = append(self, piece.buf, piece.len, announced) < 0;
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
            text = NULL; /* the resizing let go of it */
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

static PyTypeObject PiecesType = {
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

/* ---------------------------------------------------------------------------- the decoder */

typedef struct {
    PyObject_HEAD
    PyObject *receiver;
    PyObject *text_factory;
    PyObject *limit;     /* bytes of the largest message, or None */
    Pieces *message;     /* what came of a message that has not come whole */
    PyObject *rest;      /* bytes of a frame that is not taken before it has come whole */
    Py_ssize_t max_size; /* the limit; the largest number where there is none */
    Py_ssize_t missing;  /* bytes of a frame's payload that have not come */
    int opened_by;       /* first byte of a message whose fragments have not all come, or 0 */
    char stopped;
    char busy;
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

static PyObject *
text_of(Straight *self, const unsigned char *payload, Py_ssize_t size)
{
    PyObject *text;
    if (self->text_factory == bytes_decode) {
        text = PyUnicode_DecodeUTF8((const char *)payload, size, NULL);
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
    if (append(self->message, payload, size, 0) < 0)
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
    while (!failed && !self->stopped) {
        if (at == end || !is_taken(self, at[0]))
            break;
        const Py_ssize_t most = self->max_size - self->message->size;
        const unsigned char *after = whole_frame(at, end, most, &payload);
        if (after == NULL)
            break;
        const Py_ssize_t size = after - payload;
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

PyDoc_STRVAR(feed_doc, "Decode all of a read; see the twin in Python.");

static PyObject *
straight_feed(Straight *self, PyObject *data)
{
    if (self->stopped)
        Py_RETURN_NONE;
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
    self->missing = 0;
    self->opened_by = 0;
    self->stopped = self->busy = 0;
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
    {"_missing", T_PYSSIZET, offsetof(Straight, missing), 0, NULL},
    {"_opened_by", T_INT, offsetof(Straight, opened_by), 0, NULL},
    {"_stopped", T_BOOL, offsetof(Straight, stopped), 0, NULL},
    {NULL},
};

static PyMethodDef straight_methods[] = {
    {"feed", (PyCFunction)straight_feed, METH_O, feed_doc},
    {"place", (PyCFunction)straight_place, METH_NOARGS, straight_place_doc},
    {NULL},
};

static PyTypeObject StraightDecoder = {
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

/* ---------------------------------------------------------------------------- sent frames */

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
mask_into(unsigned char *restrict to, const unsigned char *restrict from, Py_ssize_t size,
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

static PyObject *
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
    if (names != NULL)
        count += PyTuple_GET_SIZE(names); /* there is one that can be named */
    if (count != 2 && count != 3) {
        PyErr_SetString(PyExc_TypeError, "encode() takes an opcode, a payload, and a flag");
        return NULL;
    }
    const long opcode = PyLong_AsLong(args[0]);
    if (opcode == -1 && PyErr_Occurred())
        return NULL;
    const int compressed = count == 3 ? PyObject_IsTrue(args[2]) : 0;
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

PyDoc_STRVAR(mask_doc, "mask(payload, key)\n--\n\n"
                       "Return the payload XORed with the repeated 4-byte key.");

static PyObject *
mask(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !PyBytes_Check(args[1]) || PyBytes_GET_SIZE(args[1]) != KEY_SIZE) {
        PyErr_SetString(PyExc_TypeError, "mask() takes a payload, and a key of 4 bytes");
        return NULL;
    }
    Py_buffer payload;
    if (PyObject_GetBuffer(args[0], &payload, PyBUF_SIMPLE) < 0)
        return NULL;
    PyObject *masked = PyBytes_FromStringAndSize(NULL, payload.len);
    if (masked != NULL)
        mask_into((unsigned char *)PyBytes_AS_STRING(masked), payload.buf, payload.len,
                  (unsigned char *)PyBytes_AS_STRING(args[1]));
    PyBuffer_Release(&payload);
    return masked;
}

/* ----------------------------------------------------------------------------- the module */

static PyMethodDef functions[] = {
    {"encode", (PyCFunction)(void (*)(void))encode, METH_FASTCALL | METH_KEYWORDS, encode_doc},
    {"mask", (PyCFunction)(void (*)(void))mask, METH_FASTCALL, mask_doc},
    {"forget_keys", forget_keys, METH_NOARGS, forget_keys_doc},
    {NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "wsfleet._wire._speedups",
    .m_doc = "What the codec does with every message, in C.",
    .m_size = -1,
    .m_methods = functions,
};

static int
remember(void)
{
    name_on_text = PyUnicode_InternFromString("on_text");
    name_on_binary = PyUnicode_InternFromString("on_binary");
    name_continue = PyUnicode_InternFromString("_continue");
    name_take_next = PyUnicode_InternFromString("_take_next");
    name_not_utf8 = PyUnicode_InternFromString("_not_utf8");
    name_place = PyUnicode_InternFromString("_place");
    name_finish = PyUnicode_InternFromString("_finish_pieces");
    bytes_decode = PyObject_GetAttrString((PyObject *)&PyBytes_Type, "decode");
    PyObject *os = PyImport_ImportModule("os");
    urandom = os == NULL ? NULL : PyObject_GetAttrString(os, "urandom");
    Py_XDECREF(os);
    return name_on_text && name_on_binary && name_continue && name_take_next && name_not_utf8 && name_place &&
                   name_finish &&
                   bytes_decode && urandom
               ? 0
               : -1;
}

PyMODINIT_FUNC
PyInit__speedups(void)
{
    if (remember() < 0 || PyType_Ready(&PiecesType) < 0)
        return NULL;
    PyObject *module = PyModule_Create(&module_def);
    if (module != NULL && (PyModule_AddType(module, &StraightDecoder) < 0 ||
                           PyModule_AddType(module, &PiecesType) < 0))
        Py_CLEAR(module);
    return module;
}
