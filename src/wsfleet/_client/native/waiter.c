/*
 * One answer that one task awaits; the twin of `waiter.py`.
 */

#include "speedups.h"

enum { PENDING, DONE, CANCELLED };

static PyObject *name_deadlines, *name_is_kept, *name_leave, *name_run, *name_call_soon,
    *only_context;
static PyObject *current_task, *cancelled_error;

typedef struct {
    PyObject_HEAD
    PyObject *line;
    PyObject *loop;
    PyObject *wake;    /* what makes the task go on, once one awaits; or NULL */
    PyObject *context; /* in which it does */
    PyObject *value;
    int state;
    char blocking; /* as asyncio asks of a future: whether it was yielded to be awaited */
} Waiter;

/* The type is called without the tuple of arguments that `tp_init` would take. */
static PyObject *
waiter_vectorcall(PyObject *type, PyObject *const *args, size_t count, PyObject *names)
{
    if (PyVectorcall_NARGS(count) != 2 || names != NULL) {
        PyErr_SetString(PyExc_TypeError, "AsyncioWaiter() takes a line and a loop");
        return NULL;
    }
    Waiter *self = (Waiter *)PyType_GenericAlloc((PyTypeObject *)type, 0);
    if (self != NULL) {
        self->line = Py_NewRef(args[0]);
        self->loop = Py_NewRef(args[1]);
    }
    return (PyObject *)self;
}

/* The task goes on in a turn of the event loop to come. */
static PyObject *
wake_soon(Waiter *self)
{
    PyObject *call_soon = PyObject_GetAttr(self->loop, name_call_soon);
    if (call_soon == NULL)
        return NULL;
    PyObject *args[] = {self->wake, (PyObject *)self, self->context};
    PyObject *handle = PyObject_Vectorcall(call_soon, args, 2, only_context);
    Py_DECREF(call_soon);
    return handle;
}

/* The task goes on now. */
static PyObject *
wake_now(Waiter *self)
{
    PyObject *wake = Py_NewRef(self->wake);
    PyObject *args[] = {self->context, wake, (PyObject *)self};
    PyObject *done = PyObject_VectorcallMethod(name_run, args, 3, NULL);
    Py_DECREF(wake);
    return done;
}

static PyObject *
wake(Waiter *self)
{
    if (self->context == Py_None)
        return wake_soon(self);
    PyObject *task = PyObject_CallOneArg(current_task, self->loop);
    if (task == NULL)
        return NULL;
    Py_DECREF(task);
    return task == Py_None ? wake_now(self) : wake_soon(self);
}

PyDoc_STRVAR(set_doc, "Give the result; only the first counts.");

static PyObject *
waiter_set(Waiter *self, PyObject *value)
{
    if (self->state != PENDING)
        Py_RETURN_NONE;
    self->state = DONE;
    Py_XSETREF(self->value, Py_NewRef(value));
    if (self->wake == NULL)
        Py_RETURN_NONE;
    PyObject *done = wake(self);
    if (done == NULL)
        return NULL;
    Py_DECREF(done);
    Py_RETURN_NONE;
}

static PyObject *
waiter_cancel(Waiter *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"msg", NULL};
    PyObject *message = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O", names, &message))
        return NULL;
    if (self->state != PENDING)
        Py_RETURN_FALSE;
    self->state = CANCELLED;
    Py_XSETREF(self->value, Py_NewRef(message)); /* anyio knows its own cancellations by it */
    if (self->wake != NULL) {
        PyObject *handle = wake_soon(self);
        if (handle == NULL)
            return NULL;
        Py_DECREF(handle);
    }
    Py_RETURN_TRUE;
}

PyDoc_STRVAR(close_doc, "Nobody waits any more.");

static PyObject *
waiter_close(Waiter *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *deadlines = PyObject_GetAttr(self->line, name_deadlines);
    if (deadlines == NULL)
        return NULL;
    if (PyDict_DelItem(deadlines, (PyObject *)self) < 0)
        PyErr_Clear(); /* it has left */
    const Py_ssize_t left = PyDict_Size(deadlines);
    Py_DECREF(deadlines);
    if (left)
        return left < 0 ? NULL : Py_NewRef(Py_None);
    PyObject *kept = PyObject_GetAttr(self->line, name_is_kept);
    const int is_kept = kept == NULL ? -1 : PyObject_IsTrue(kept);
    Py_XDECREF(kept);
    if (is_kept)
        return is_kept < 0 ? NULL : Py_NewRef(Py_None);
    return PyObject_CallMethodNoArgs(self->line, name_leave);
}

static PyObject *
waiter_get_loop(Waiter *self, PyObject *Py_UNUSED(ignored))
{
    return Py_NewRef(self->loop);
}

static PyObject *
waiter_done(Waiter *self, PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(self->state != PENDING);
}

static PyObject *
waiter_result(Waiter *self, PyObject *Py_UNUSED(ignored))
{
    if (self->state == CANCELLED) {
        PyErr_SetObject(cancelled_error, self->value);
        return NULL;
    }
    return Py_NewRef(self->value == NULL ? Py_None : self->value);
}

static PyObject *
waiter_add_done_callback(Waiter *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    const Py_ssize_t named = names == NULL ? 0 : PyTuple_GET_SIZE(names);
    if (count != 1 || named > 1 ||
        (named && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "context"))) {
        PyErr_SetString(PyExc_TypeError, "add_done_callback() takes a callable, and context=");
        return NULL;
    }
    Py_XSETREF(self->wake, Py_NewRef(args[0]));
    Py_XSETREF(self->context, Py_NewRef(named ? args[1] : Py_None));
    Py_RETURN_NONE;
}

/* What awaiting does: yield ourselves to the task, and be resumed with the result. */
static PySendResult
waiter_send(Waiter *self, PyObject *Py_UNUSED(sent), PyObject **result)
{
    if (self->state == PENDING) {
        self->blocking = 1;
        *result = Py_NewRef((PyObject *)self);
        return PYGEN_NEXT;
    }
    *result = waiter_result(self, NULL);
    return *result == NULL ? PYGEN_ERROR : PYGEN_RETURN;
}

static PyObject *
waiter_next(Waiter *self)
{
    PyObject *result;
    switch (waiter_send(self, Py_None, &result)) {
    case PYGEN_NEXT:
        return result;
    case PYGEN_ERROR:
        return NULL;
    default:;
    }
    PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, result);
    if (stop != NULL)
        PyErr_SetObject(PyExc_StopIteration, stop);
    Py_XDECREF(stop);
    Py_DECREF(result);
    return NULL;
}

static int
waiter_traverse(Waiter *self, visitproc visit, void *arg)
{
    Py_VISIT(self->line);
    Py_VISIT(self->loop);
    Py_VISIT(self->wake);
    Py_VISIT(self->context);
    Py_VISIT(self->value);
    return 0;
}

static int
waiter_clear(Waiter *self)
{
    Py_CLEAR(self->line);
    Py_CLEAR(self->loop);
    Py_CLEAR(self->wake);
    Py_CLEAR(self->context);
    Py_CLEAR(self->value);
    return 0;
}

static void
waiter_dealloc(Waiter *self)
{
    PyObject_GC_UnTrack(self);
    waiter_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMemberDef waiter_members[] = {
    {"_asyncio_future_blocking", T_BOOL, offsetof(Waiter, blocking), 0, NULL},
    {NULL},
};

static PyMethodDef waiter_methods[] = {
    {"set", (PyCFunction)waiter_set, METH_O, set_doc},
    {"close", (PyCFunction)waiter_close, METH_NOARGS, close_doc},
    {"get_loop", (PyCFunction)waiter_get_loop, METH_NOARGS, NULL},
    {"done", (PyCFunction)waiter_done, METH_NOARGS, NULL},
    {"result", (PyCFunction)waiter_result, METH_NOARGS, NULL},
    {"cancel", (PyCFunction)(void (*)(void))waiter_cancel, METH_VARARGS | METH_KEYWORDS, NULL},
    {"add_done_callback", (PyCFunction)(void (*)(void))waiter_add_done_callback,
     METH_FASTCALL | METH_KEYWORDS, NULL},
    {NULL},
};

static PyAsyncMethods waiter_async = {
    .am_await = PyObject_SelfIter,
    .am_send = (sendfunc)waiter_send,
};

PyTypeObject AsyncioWaiter = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "wsfleet._client._speedups.AsyncioWaiter",
    .tp_doc = PyDoc_STR("Awaits one result; see the twin in Python."),
    .tp_basicsize = sizeof(Waiter),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_vectorcall = waiter_vectorcall,
    .tp_traverse = (traverseproc)waiter_traverse,
    .tp_clear = (inquiry)waiter_clear,
    .tp_dealloc = (destructor)waiter_dealloc,
    .tp_as_async = &waiter_async,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = (iternextfunc)waiter_next,
    .tp_members = waiter_members,
    .tp_methods = waiter_methods,
};

int
set_up_waiter(void)
{
    name_deadlines = PyUnicode_InternFromString("deadlines");
    name_is_kept = PyUnicode_InternFromString("is_kept");
    name_leave = PyUnicode_InternFromString("leave");
    name_run = PyUnicode_InternFromString("run");
    name_call_soon = PyUnicode_InternFromString("call_soon");
    only_context = Py_BuildValue("(s)", "context");
    current_task = from_python("asyncio", "current_task");
    cancelled_error = from_python("asyncio", "CancelledError");
    if (!name_deadlines || !name_is_kept || !name_leave || !name_run || !name_call_soon ||
        !only_context || !current_task || !cancelled_error)
        return -1;
    return PyType_Ready(&AsyncioWaiter);
}
