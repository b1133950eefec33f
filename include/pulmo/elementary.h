/* Elementary functions of double whose bits are the same on every machine: sums, products and
 * quotients alone, each rounded as IEEE 754 says, in one fixed order. A library's own choose other
 * code for other processors, and differ in the last digit. Within one unit in the last place of the
 * true value, pulmo_pow within 2 + 3 |y log x| of them. Not collective. */
#ifndef PULMO_ELEMENTARY_H
#define PULMO_ELEMENTARY_H

/* NaN gives NaN; above 709.8 infinity, below -745.2 zero. */
double pulmo_exp(double x);
/* The natural logarithm; of 0 -infinity, of less NaN. */
double pulmo_log(double x);
/* x^y for x >= 0, as exp(y log x). */
double pulmo_pow(double x, double y);
/* For |x| below 2^20; beyond it and for NaN, NaN. */
double pulmo_sin(double x);
double pulmo_cos(double x);

#endif
