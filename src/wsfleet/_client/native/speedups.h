/*
 * What the files of the extension know of each other.
 *
 * Rule 1: everything here has a twin in Python, and does the same whatever a user's code returns
 *         or raises: `straight.py` for delivery.c, `waiter.py` for waiter.c,
 *         `json_or_text` in `messages.py` for json.c.
 * Rule 2: what is not the common case is left to Python.
 */

#ifndef WSFLEET_CLIENT_SPEEDUPS_H
#define WSFLEET_CLIENT_SPEEDUPS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <structmember.h>

/* module.c: what a module of Python's has under a name. */

PyObject *from_python(const char *module_name, const char *name);

/* delivery.c: the way of a text message. */

extern PyTypeObject StraightDelivery;
int set_up_delivery(void);

/* json.c: what a text decodes to. */

extern PyMethodDef json_functions[];
int set_up_json(void);

/* waiter.c: one answer that one task awaits. */

extern PyTypeObject AsyncioWaiter;
int set_up_waiter(void);

#endif
