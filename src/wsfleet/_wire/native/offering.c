/*
 * The straight way out; the twin of `offering.py`.
 */

#include "speedups.h"

enum { PIECE = 1 << 18 }; /* as in the twin */

static PyObject *name_full, *name_write, *name_is_closing;

typedef struct {
    PyObject_HEAD
    PyObject *link;
    PyObject *is_closing; /* the link's */
    PyObject *ending;     /* None where nothing stands in the way, as the next two */
    PyObject *outbox;
    PyObject *deflater;
    unsigned long thread; /* in which it was made */
} Offering;

/* Whether a frame can be written now; -1 on an error. */
static int
has_room(Offering *self)
{
    PyObject *full = PyObject_GetAttr(self->link, name_full);
    int is_true = full == NULL ? -1 : PyObject_IsTrue(full);
    Py_XDECREF(full);
    if (is_true)
        return is_true < 0 ? -1 : 0;
    PyObject *closing = PyObject_CallNoArgs(self->is_closing);
    is_true = closing == NULL ? -1 : PyObject_IsTrue(closing);
    Py_XDECREF(closing);
    return is_true < 0 ? -1 : !is_true;
}

/* The bytes of a message that goes out as it is; NULL where another look at it is needed. */
static const void *
bytes_of(PyObject *payload, Py_ssize_t *size)
{
    if (PyBytes_CheckExact(payload)) {
        *size = PyBytes_GET_SIZE(payload);
        return PyBytes_AS_STRING(payload);
    }
    if (PyUnicode_CheckExact(payload) && PyUnicode_IS_COMPACT_ASCII(payload)) {
        *size = PyUnicode_GET_LENGTH(payload);
        return PyUnicode_1BYTE_DATA(payload);
    }
    return NULL;
}

static PyObject *
write_frame(Offering *self, PyObject *frame)
{
    PyObject *write = PyObject_GetAttr(self->link, name_write);
    PyObject *done = write == NULL ? NULL : PyObject_CallOneArg(write, frame);
    Py_XDECREF(write);
    return done;
}

PyDoc_STRVAR(offer_doc, "offer(opcode, payload)\n--\n\n"
                        "Send a message at once, where nothing stands in the way of that.");

static PyObject *
offer(Offering *self, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t size;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "offer() takes an opcode and a payload");
        return NULL;
    }
    const long opcode = PyLong_AsLong(args[0]);
    if (opcode == -1 && PyErr_Occurred())
        return NULL;
    const void *payload = bytes_of(args[1], &size);
    if (payload == NULL || size > PIECE ||
        PyThread_get_thread_ident() != self->thread || self->ending != Py_None ||
        self->outbox != Py_None || self->deflater != Py_None)
        Py_RETURN_FALSE;
    const int room = has_room(self);
    if (room <= 0)
        return room < 0 ? NULL : Py_NewRef(Py_False);
    PyObject *frame = client_frame(0x80 | (int)(opcode & 0x0F), payload, size);
    PyObject *done = frame == NULL ? NULL : write_frame(self, frame);
    Py_XDECREF(frame);
    if (done == NULL)
        return NULL;
    Py_DECREF(done);
    Py_RETURN_TRUE;
}

static int
offering_init(Offering *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"link", NULL};
    PyObject *link;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O", names, &link))
        return -1;
    PyObject *is_closing = PyObject_GetAttr(link, name_is_closing);
    if (is_closing == NULL)
        return -1;
    Py_XSETREF(self->is_closing, is_closing);
    Py_XSETREF(self->link, Py_NewRef(link));
    self->thread = PyThread_get_thread_ident();
    Py_XSETREF(self->ending, Py_NewRef(Py_None));
    Py_XSETREF(self->outbox, Py_NewRef(Py_None));
    Py_XSETREF(self->deflater, Py_NewRef(Py_None));
    return 0;
}

static int
offering_traverse(Offering *self, visitproc visit, void *arg)
{
    Py_VISIT(self->link);
    Py_VISIT(self->is_closing);
    Py_VISIT(self->ending);
    Py_VISIT(self->outbox);
    Py_VISIT(self->deflater);
    return 0;
}

static int
offering_clear(Offering *self)
{
    Py_CLEAR(self->link);
    Py_CLEAR(self->is_closing);
    Py_CLEAR(self->ending);
    Py_CLEAR(self->outbox);
    Py_CLEAR(self->deflater);
    return 0;
}

static void
offering_dealloc(Offering *self)
{
    PyObject_GC_UnTrack(self);
    offering_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMemberDef offering_members[] = {
    {"_link", T_OBJECT_EX, offsetof(Offering, link), READONLY, NULL},
    {"_is_closing", T_OBJECT_EX, offsetof(Offering, is_closing), READONLY, NULL},
    {"ending", T_OBJECT_EX, offsetof(Offering, ending), 0, NULL},
    {"_outbox", T_OBJECT_EX, offsetof(Offering, outbox), 0, NULL},
    {"_deflater", T_OBJECT_EX, offsetof(Offering, deflater), 0, NULL},
    {NULL},
};

static PyMethodDef offering_methods[] = {
    {"offer", (PyCFunction)(void (*)(void))offer, METH_FASTCALL, offer_doc},
    {NULL},
};

PyTypeObject OfferingType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "wsfleet._wire._speedups.Offering",
    .tp_doc = PyDoc_STR("Sends what can go out at once; see the twin in Python."),
    .tp_basicsize = sizeof(Offering),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)offering_init,
    .tp_traverse = (traverseproc)offering_traverse,
    .tp_clear = (inquiry)offering_clear,
    .tp_dealloc = (destructor)offering_dealloc,
    .tp_members = offering_members,
    .tp_methods = offering_methods,
};

int
set_up_offering(void)
{
    name_full = PyUnicode_InternFromString("full");
    name_write = PyUnicode_InternFromString("write");
    name_is_closing = PyUnicode_InternFromString("is_closing");
    if (!name_full || !name_write || !name_is_closing)
        return -1;
    return PyType_Ready(&OfferingType);
}
