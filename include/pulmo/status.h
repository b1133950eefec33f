/* Status codes and error reports.
 *
 * Every function that can fail for a reason outside the program returns a pulmo_status. The
 * reason in words is kept in a per-thread report, written where the failure is found and
 * extended by callers that know more; the command line prints it once. A report names the
 * file, the value found, the rule it breaks and the way out. */
#ifndef PULMO_STATUS_H
#define PULMO_STATUS_H

/* X(name, exit status of the program, what it means) */
#define PULMO_STATUS_LIST(X)                                                                       \
    X(OK, 0, "done")                                                                               \
    X(RUNTIME, 1, "runtime failure")                                                               \
    X(MEMORY, 1, "out of memory")                                                                  \
    X(MPI, 1, "MPI failure")                                                                       \
    X(USAGE, 2, "wrong usage")                                                                     \
    X(CONFIG, 2, "wrong configuration")                                                            \
    X(DATA, 65, "bad data")                                                                        \
    X(WEIGHTS, 65, "bad weights")                                                                  \
    X(IO, 74, "input/output failure")                                                              \
    X(INTERRUPTED, 75, "interrupted after a checkpoint")

typedef enum pulmo_status {
#define X(name, exit_status, text) PULMO_##name,
    PULMO_STATUS_LIST(X)
#undef X
} pulmo_status;

/* The exit status of a program that ends with this status (see docs: 0, 1, 2, 65, 74, 75). */
int pulmo_status_exit(pulmo_status status);

/* A few words for the status; static storage. */
const char *pulmo_status_text(pulmo_status status);

/* Starts this thread's report anew with one message; returns `status`, so that a failing
 * function can end with `return pulmo_fail(PULMO_IO, "%s: ...", path)`. Not collective. */
pulmo_status pulmo_fail(pulmo_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts context before this thread's report ("context: report"); returns `status`. */
pulmo_status pulmo_fail_in(pulmo_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#ifdef __clang_analyzer__ /* which does not look into other files: the result is the argument */
#define pulmo_fail(status, ...)    ((void)(pulmo_fail)(status, __VA_ARGS__), (status))
#define pulmo_fail_in(status, ...) ((void)(pulmo_fail_in)(status, __VA_ARGS__), (status))
#endif

/* This thread's report, "" if none; borrowed until the thread's next pulmo_fail or clear. */
const char *pulmo_error(void);

/* Forgets this thread's report, after the failure has been dealt with. */
void pulmo_error_clear(void);

/* A failure that leaves the thread where it was found: all zeros is none. */
#define PULMO_REPORT_BYTES 4096
typedef struct pulmo_failure {
    pulmo_status status;
    char report[PULMO_REPORT_BYTES];
} pulmo_failure;

/* Keeps `status` with this thread's report; PULMO_OK keeps that there is none. */
void pulmo_failure_keep(pulmo_failure *failure, pulmo_status status);

/* Makes a kept failure this thread's own and returns its status; the report stays as it is where
 * there is none. */
pulmo_status pulmo_failure_raise(const pulmo_failure *failure);

/* Returns early with the status of `call` unless it is PULMO_OK; only for functions that
 * hold no resource. Others use PULMO_GOTO and one `out:` label. */
#define PULMO_TRY(call)                                                                            \
    do {                                                                                           \
        pulmo_status try_status_ = (call);                                                         \
        if (try_status_ != PULMO_OK)                                                               \
            return try_status_;                                                                    \
    } while (0)

/* Sets the local variable `status` and leaves through `out:` unless it is PULMO_OK. */
#define PULMO_GOTO(call)                                                                           \
    do {                                                                                           \
        status = (call);                                                                           \
        if (status != PULMO_OK)                                                                    \
            goto out;                                                                              \
    } while (0)

#endif
