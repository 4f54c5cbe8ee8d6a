/*
 * What the codec does with every message, as the module `_speedups`.
 */

#include "speedups.h"

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "wsfleet._wire._speedups",
    .m_doc = "What the codec does with every message, in C.",
    .m_size = -1,
    .m_methods = masking_functions,
};

PyMODINIT_FUNC
PyInit__speedups(void)
{
    if (PyType_Ready(&PiecesType) < 0 || set_up_decoder() < 0 || set_up_masking() < 0 ||
        set_up_offering() < 0)
        return NULL;
    PyObject *module = PyModule_Create(&module_def);
    if (module != NULL && (PyModule_AddType(module, &StraightDecoder) < 0 ||
                           PyModule_AddType(module, &PiecesType) < 0 ||
                           PyModule_AddType(module, &OfferingType) < 0))
        Py_CLEAR(module);
    return module;
}
