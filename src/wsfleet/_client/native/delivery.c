/*
 * The straight way of a text message; the twin of `straight.py`.
 */

#include "speedups.h"

static PyObject *name_answers, *name_method, *name_set, *name_resolve, *name_asked, *name_id,
    *name_undecoded, *quoted_id;
static PyObject *message_type, *refuse_coroutine, *own;

typedef struct {
    PyObject_HEAD
    PyObject *correlation;
    PyObject *waiting; /* its requests in flight, by id: a dict */
    PyObject *take;
    PyObject *decode; /* or None */
    PyObject *crashed;
    Py_ssize_t received;
} Delivery;

/* Take the error that is set. */
static PyObject *
caught(void)
{
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    if (traceback != NULL)
        PyException_SetTraceback(error, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return error;
}

/* Tell the owner of whatever a user's code let out. */
static PyObject *
crash(Delivery *self)
{
    PyObject *error = caught();
    PyObject *done = PyObject_CallOneArg(self->crashed, error);
    Py_DECREF(error);
    return done;
}

/* Have the subclass deal with a text that the user's function failed to decode. */
static PyObject *
undecoded(Delivery *self, PyObject *text)
{
    PyObject *error = caught();
    PyObject *done =
        PyObject_CallMethodObjArgs((PyObject *)self, name_undecoded, text, error, NULL);
    Py_DECREF(error);
    return done;
}

static PyObject *
hand_out(Delivery *self, PyObject *data)
{
    PyObject *result = NULL, *take = Py_NewRef(self->take); /* the call may replace it */
    PyObject *message = PyObject_CallOneArg(message_type, data);
    if (message != NULL) {
        result = PyObject_CallOneArg(take, message);
        Py_DECREF(message);
    }
    Py_DECREF(take);
    if (result != NULL && result != Py_None)
        Py_SETREF(result, PyObject_CallOneArg(refuse_coroutine, result));
    return result == NULL ? crash(self) : result;
}

/* Ask a method of the subclass; 1 or 0, and -1 on an error. */
static int
ask(Delivery *self, PyObject *method, PyObject *data)
{
    PyObject *answer = PyObject_CallMethodOneArg((PyObject *)self, method, data);
    if (answer == NULL)
        return -1;
    const int is_true = PyObject_IsTrue(answer);
    Py_DECREF(answer);
    return is_true;
}

/* Give a response to who awaits it, as `Correlation.resolve` does; 0 where nobody does, and -1 on
 * an error. */
static int
resolve(Delivery *self, PyObject *id, PyObject *data)
{
    if (!PyLong_CheckExact(id) && !PyUnicode_CheckExact(id))
        return 0;
    PyObject *waiter = PyDict_GetItemWithError(self->waiting, id);
    if (waiter == NULL)
        return PyErr_Occurred() ? -1 : 0;
    const int is_call = PyDict_Contains(data, name_method);
    if (is_call)
        return is_call < 0 ? -1 : 0;
    Py_INCREF(waiter);
    PyObject *done = PyDict_DelItem(self->waiting, id) < 0
                         ? NULL
                         : PyObject_CallMethodOneArg(waiter, name_set, data);
    Py_DECREF(waiter);
    Py_XDECREF(done);
    return done == NULL ? -1 : 1;
}

PyDoc_STRVAR(on_json_doc, "Take a message that was decoded as JSON.");

static PyObject *
on_json(Delivery *self, PyObject *data)
{
    self->received++;
    if (PyDict_CheckExact(data)) {
        PyObject *id = PyDict_GetItemWithError(data, name_id);
        if (id == NULL && PyErr_Occurred())
            return NULL;
        if (id != NULL && id != Py_None) {
            int answers = resolve(self, id, data);
            if (!answers)
                answers = ask(self, name_answers, data);
            if (answers)
                return answers < 0 ? NULL : Py_NewRef(Py_None);
        }
    }
    return hand_out(self, data);
}

static int
may_answer(Delivery *self, PyObject *text)
{
    if (PyDict_GET_SIZE(self->waiting)) {
        const int found = PySequence_Contains(text, quoted_id);
        if (found)
            return found;
    }
    PyObject *asked = PyObject_GetAttr(self->correlation, name_asked);
    if (asked == NULL)
        return -1;
    const int is_true = PyObject_IsTrue(asked);
    Py_DECREF(asked);
    return is_true <= 0 ? is_true : PySequence_Contains(text, own);
}

static int
is_answer(Delivery *self, PyObject *text)
{
    const int may = may_answer(self, text);
    return may <= 0 ? may : ask(self, name_resolve, text);
}

/* Take a text that may be a response; any other is decoded first, where it is to be. */
static PyObject *
take_text(Delivery *self, PyObject *text, int is_decoded)
{
    self->received++;
    const int answers = is_answer(self, text);
    if (answers)
        return answers < 0 ? NULL : Py_NewRef(Py_None);
    if (!is_decoded)
        return hand_out(self, text);
    PyObject *data = PyObject_CallOneArg(self->decode, text);
    if (data == NULL)
        return undecoded(self, text);
    PyObject *done = hand_out(self, data);
    Py_DECREF(data);
    return done;
}

PyDoc_STRVAR(on_raw_doc, "Take a text that stays one.");

static PyObject *
on_raw(Delivery *self, PyObject *text)
{
    return take_text(self, text, 0);
}

PyDoc_STRVAR(on_undecoded_doc, "Take a text that the user decodes, unless it is a response.");

static PyObject *
on_undecoded(Delivery *self, PyObject *text)
{
    return take_text(self, text, 1);
}

static int
delivery_init(Delivery *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"correlation", "take", "decode", "crashed", NULL};
    PyObject *correlation, *take, *decode, *crashed;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO", names, &correlation, &take, &decode,
                                     &crashed))
        return -1;
    PyObject *waiting = PyObject_GetAttrString(correlation, "waiting");
    if (waiting == NULL)
        return -1;
    if (!PyDict_Check(waiting)) {
        Py_DECREF(waiting);
        PyErr_SetString(PyExc_TypeError, "what waits is in a dict");
        return -1;
    }
    Py_XSETREF(self->waiting, waiting);
    Py_XSETREF(self->correlation, Py_NewRef(correlation));
    Py_XSETREF(self->take, Py_NewRef(take));
    Py_XSETREF(self->decode, Py_NewRef(decode));
    Py_XSETREF(self->crashed, Py_NewRef(crashed));
    self->received = 0;
    return 0;
}

static int
delivery_traverse(Delivery *self, visitproc visit, void *arg)
{
    Py_VISIT(self->correlation);
    Py_VISIT(self->waiting);
    Py_VISIT(self->take);
    Py_VISIT(self->decode);
    Py_VISIT(self->crashed);
    return 0;
}

static int
delivery_clear(Delivery *self)
{
    Py_CLEAR(self->correlation);
    Py_CLEAR(self->waiting);
    Py_CLEAR(self->take);
    Py_CLEAR(self->decode);
    Py_CLEAR(self->crashed);
    return 0;
}

static void
delivery_dealloc(Delivery *self)
{
    PyObject_GC_UnTrack(self);
    delivery_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMemberDef delivery_members[] = {
    {"_correlation", T_OBJECT_EX, offsetof(Delivery, correlation), READONLY, NULL},
    {"_take", T_OBJECT_EX, offsetof(Delivery, take), 0, NULL},
    {"_decode", T_OBJECT_EX, offsetof(Delivery, decode), READONLY, NULL},
    {"_crashed", T_OBJECT_EX, offsetof(Delivery, crashed), READONLY, NULL},
    {"received", T_PYSSIZET, offsetof(Delivery, received), 0, NULL},
    {NULL},
};

static PyMethodDef delivery_methods[] = {
    {"on_json", (PyCFunction)on_json, METH_O, on_json_doc},
    {"on_raw", (PyCFunction)on_raw, METH_O, on_raw_doc},
    {"on_undecoded", (PyCFunction)on_undecoded, METH_O, on_undecoded_doc},
    {NULL},
};

PyTypeObject StraightDelivery = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "wsfleet._client._speedups.StraightDelivery",
    .tp_doc = PyDoc_STR("Delivers texts that answer no request; see the twin in Python."),
    .tp_basicsize = sizeof(Delivery),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)delivery_init,
    .tp_traverse = (traverseproc)delivery_traverse,
    .tp_clear = (inquiry)delivery_clear,
    .tp_dealloc = (destructor)delivery_dealloc,
    .tp_members = delivery_members,
    .tp_methods = delivery_methods,
};

int
set_up_delivery(void)
{
    name_answers = PyUnicode_InternFromString("_answers");
    name_resolve = PyUnicode_InternFromString("_resolve");
    name_asked = PyUnicode_InternFromString("asked");
    name_undecoded = PyUnicode_InternFromString("_undecoded");
    name_method = PyUnicode_InternFromString("method");
    name_set = PyUnicode_InternFromString("set");
    name_id = PyUnicode_InternFromString("id");
    quoted_id = PyUnicode_InternFromString("\"id\"");
    message_type = from_python("wsfleet._client.events", "Message");
    refuse_coroutine = from_python("wsfleet._client.callables", "refuse_coroutine");
    own = from_python("wsfleet._client.correlation", "OWN");
    if (!name_undecoded || !name_answers || !name_method || !name_set || !name_resolve || !name_asked || !name_id ||
        !quoted_id || !message_type || !refuse_coroutine || !own)
        return -1;
    return PyType_Ready(&StraightDelivery);
}
