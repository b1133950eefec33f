/* Configurations: what is accepted echoes, and the echo reads back to the same. */
#include "pulmo/config.h"
#include "target.h"

static void check_echo(const pulmo_config *config)
{
    static pulmo_config back;
    char *echo = pulmo_config_echo(config);
    FUZZ_CHECK(echo, "no echo");
    pulmo_config_init(&back);
    pulmo_status status = pulmo_config_parse(&back, "echo", echo);
    FUZZ_CHECK(status == PULMO_OK, "the echo is refused:\n%s", echo);
    char *again = pulmo_config_echo(&back);
    FUZZ_CHECK(again && strcmp(echo, again) == 0, "the echo's echo differs:\n%s", echo);
    free(echo);
    free(again);
}

static void check(const pulmo_config *config, pulmo_status status, pulmo_status refusal)
{
    if (status == PULMO_OK)
        check_echo(config);
    fuzz_refused(status, refusal);
}

/* Each line as --set takes it. */
static void set_lines(pulmo_config *config, char *text)
{
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
        fuzz_refused(pulmo_config_set(config, line), PULMO_CONFIG);
    check_echo(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static pulmo_config config;
    char *text = fuzz_text(data, size);
    fuzz_file file = fuzz_file_open(data, size);
    const pulmo_settings settings = {.path = file.path};
    pulmo_config_init(&config);
    check(&config, pulmo_config_parse(&config, "text", text), PULMO_CONFIG);
    pulmo_config_init(&config);
    check(&config, pulmo_config_apply(&config, &settings), PULMO_CONFIG);
    pulmo_config_init(&config);
    set_lines(&config, text);
    free(text);
    fuzz_file_close(&file);
    return 0;
}
