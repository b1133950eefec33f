/* What the trained part of the network is computed in. The program uses float; the gradient tests
 * build the same sources with PULMO_HEAD_DOUBLE, where central differences are exact enough to
 * judge them. */
#ifndef PULMO_REAL_H
#define PULMO_REAL_H

#ifdef PULMO_HEAD_DOUBLE
typedef double real;
#else
typedef float real;
#endif

#endif
