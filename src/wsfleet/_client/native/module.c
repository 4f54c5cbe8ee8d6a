/*
 * What a client does with every message, as the module `_speedups`.
 */

#include "speedups.h"

PyObject *
from_python(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *found = module == NULL ? NULL : PyObject_GetAttrString(module, name);
    Py_XDECREF(module);
    return found;
}

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "wsfleet._client._speedups",
    .m_doc = "What a client does with every message, in C.",
    .m_size = -1,
    .m_methods = json_functions,
};

PyMODINIT_FUNC
PyInit__speedups(void)
{
    if (set_up_delivery() < 0 || set_up_waiter() < 0 || set_up_json() < 0)
        return NULL;
    PyObject *module = PyModule_Create(&module_def);
    if (module != NULL && (PyModule_AddType(module, &StraightDelivery) < 0 ||
                           PyModule_AddType(module, &AsyncioWaiter) < 0))
        Py_CLEAR(module);
    return module;
}
