#include "pulmo/spent.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- wall time ---- */

void pulmo_spent_begin(pulmo_spent *it)
{
    *it = (pulmo_spent){.since_s = pulmo_now_s(), .sessions = 1};
    pulmo_utc_now(it->began);
}

void pulmo_spent_add(pulmo_spent *it, const char *began, double wall_s, int64_t sessions)
{
    snprintf(it->began, sizeof it->began, "%s", began);
    it->before_s += wall_s;
    it->sessions += sessions;
}

void pulmo_spent_stop(pulmo_spent *it)
{
    it->before_s = pulmo_spent_wall_s(it);
    it->stopped = true;
}

double pulmo_spent_wall_s(const pulmo_spent *it)
{
    if (it->stopped)
        return it->before_s;
    return it->before_s + pulmo_now_s() - it->since_s;
}

/* ---- the program ---- */

const char *pulmo_commit(void)
{
    return PULMO_COMMIT;
}

/* A word that a shell takes as it is. */
static bool is_plain(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-+=:,./@%";
    return *word && word[strspn(word, plain)] == '\0';
}

/* In quotes, each quote of its own as '\''. */
static void write_quoted(FILE *out, const char *word)
{
    fputc('\'', out);
    for (; *word; word++) {
        if (*word == '\'')
            fputs("'\\''", out);
        else
            fputc(*word, out);
    }
    fputc('\'', out);
}

/* Words as /proc has them: each ended by a NUL. */
static void write_words(FILE *out, FILE *words)
{
    char *word = NULL;
    size_t room = 0;
    const char *between = "";
    while (getdelim(&word, &room, '\0', words) > 0) {
        fputs(between, out);
        if (is_plain(word))
            fputs(word, out);
        else
            write_quoted(out, word);
        between = " ";
    }
    free(word);
}

char *pulmo_command_line(void)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (!out)
        return NULL;
    FILE *words = fopen("/proc/self/cmdline", "re");
    if (words) {
        write_words(out, words);
        fclose(words);
    }
    const bool failed = ferror(out) != 0;
    if (fclose(out) == 0 && !failed)
        return text;
    free(text);
    return NULL;
}
