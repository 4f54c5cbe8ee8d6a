/*
 * What the files of the extension know of each other.
 *
 * Rule 1: everything here has a twin in Python, and gives the same for the same bytes:
 *         `straight.py` for decoder.c, `pieces.py` for pieces.c, `masking.py` for masking.c,
 *         `offering.py` for offering.c.
 * Rule 2: what is not the common case (control frames, compressed or broken ones) is left to
 *         Python.
 * Rule 3: no state is shared but the mask keys, which the GIL guards.
 */

#ifndef WSFLEET_SPEEDUPS_H
#define WSFLEET_SPEEDUPS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <structmember.h>

/* Copy bytes, and return the bits that any of them has: one look at each, where a copy and a
 * search for what is not ASCII would take two. */
static inline unsigned char
copy_bits(unsigned char *__restrict to, const unsigned char *__restrict from, Py_ssize_t size)
{
    uint64_t all = 0;
    unsigned char last = 0;
    Py_ssize_t at = 0;
    for (; at + 8 <= size; at += 8) {
        uint64_t word;
        memcpy(&word, from + at, 8);
        all |= word;
        memcpy(to + at, &word, 8);
    }
    for (; at < size; at++)
        last |= to[at] = from[at];
    return last | (all & 0x8080808080808080u ? 0x80 : 0);
}

/* pieces.c: a message that comes in pieces. */

typedef struct {
    PyObject_HEAD
    /* A str that nobody else knows, of ASCII characters, filled as far as `size`: the pieces of
     * a text of ASCII characters become that text without a copy. */
    PyObject *held;
    Py_ssize_t size;
    Py_ssize_t room;
    Py_ssize_t usual;  /* bytes that the next may have, from the one before */
    Py_ssize_t lent;   /* bytes after those that are filled which the next view shows */
    unsigned char all; /* the bits that any of the bytes has */
} Pieces;

extern PyTypeObject PiecesType;

/* Hold a piece more, of which so many bytes were announced to follow; -1 on an error. */
int pieces_append(Pieces *self, const unsigned char *piece, Py_ssize_t size,
                  Py_ssize_t announced);

/* decoder.c: the loop over the frames of a read. */

extern PyTypeObject StraightDecoder;
int set_up_decoder(void);

/* masking.c: the frames that are sent. */

extern PyMethodDef masking_functions[];
int set_up_masking(void);

/* One final, masked client frame as bytes; `first` is its first byte. */
PyObject *client_frame(int first, const unsigned char *payload, Py_ssize_t size);

/* offering.c: the messages that can be sent at once. */

extern PyTypeObject OfferingType;
int set_up_offering(void);

#endif
