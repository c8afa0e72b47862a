#include "ctl.h"

#include "base/failpoint.h"
#include "base/log.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct command *const commands[] = {
    &topics_create_command,
    &topics_check_command,
    &topics_acls_command,
    &migrate_command,
    &features_check_command,
    &features_list_command,
    &features_get_command,
    &features_vector_command,
    &features_suggest_command,
    &schemas_list_command,
    &schemas_check_command,
    &send_command,
    &tail_command,
    &rank_command,
    &train_command,
    &simulate_command,
    &backfill_command,
    &status_command,
    &dead_letters_list_command,
    &dead_letters_show_command,
    &dead_letters_replay_command,
    &models_register_command,
    &models_list_command,
    &models_show_command,
    &models_promote_command,
    &models_rollback_command,
    &models_pin_command,
    &models_unpin_command,
    &models_plan_command,
    &models_export_command,
    &models_status_command,
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_commands(FILE *to)
{
    fprintf(to,
            "flotilla: the operator's hand\n\nusage: flotilla COMMAND [ARGUMENTS] [OPTIONS]\n\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-20s %s\n", commands[i]->name, commands[i]->purpose);
    fprintf(to, "\nwith every command:\n"
                "  --config FILE      read settings from this YAML file\n"
                "  --set NAME=VALUE   one setting; stronger than the environment "
                "(FLOTILLA_KAFKA_BROKERS=...), which is\n"
                "                     stronger than the file\n"
                "  --help             what a command does, its options, and an example\n"
                "  --help-settings    all settings with their meaning and default\n"
                "  --version\n"
                "\nexample: flotilla status --set kafka.brokers=127.0.0.1:9092\n"
                "\nExit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 checked and "
                "found wrong.\n");
}

static void print_command(const struct command *c)
{
    printf("flotilla %s: %s\n\nusage: flotilla %s%s%s [OPTIONS]\n", c->name, c->purpose, c->name,
           *c->arguments ? " " : "", c->arguments);
    for (int i = 0; i < COMMAND_OPTIONS && c->options[i].name; i++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", c->options[i].name, c->options[i].value ? " " : "",
                 c->options[i].value ? c->options[i].value : "");
        printf("  %-26s %s\n", left, c->options[i].help);
    }
    printf(
        "  --config FILE, --set NAME=VALUE, --help-settings: see flotilla --help\n\nexample: %s\n",
        c->example);
}

/* The command line, in two passes: settings of --set come after those of file and environment. */
struct line {
    struct ctl ctl;
    struct conf *conf;
    struct codec *codec;
    const char *config;
    const char **sets;
    int set_count;
    bool help;
};

/* One or two words; what follows are arguments. */
static const struct command *find_command(int argc, char **argv, int *words)
{
    for (*words = 2; *words >= 1; --*words) {
        char name[64] = "";
        if (argc <= *words)
            continue;
        snprintf(name, sizeof name, "%s%s%s", argv[1], *words == 2 ? " " : "",
                 *words == 2 ? argv[2] : "");
        for (int i = 0; i < COMMANDS; i++)
            if (strcmp(commands[i]->name, name) == 0)
                return commands[i];
    }
    return NULL;
}

static int read_option(struct line *l, int argc, char **argv, int *i, struct err *e)
{
    char name[64];
    const char *text = argv[*i] + 2, *equals = strchr(text, '=');
    snprintf(name, sizeof name, "%.*s", equals ? (int)(equals - text) : (int)strlen(text), text);
    int own = command_option(l->ctl.command, name);
    bool takes_value = strcmp(name, "config") == 0 || strcmp(name, "set") == 0 ||
                       (own >= 0 && l->ctl.command->options[own].value);
    if (strcmp(name, "help") == 0) {
        l->help = true;
        return 0;
    }
    if (own < 0 && !takes_value)
        return err_set(e, ERR_INVALID, "there is no option --%s: see flotilla %s --help", name,
                       l->ctl.command->name);
    if (takes_value && !equals && *i + 1 >= argc)
        return err_set(e, ERR_INVALID, "--%s needs a value: see flotilla %s --help", name,
                       l->ctl.command->name);
    if (!takes_value && equals)
        return err_set(e, ERR_INVALID, "--%s takes no value", name);
    const char *value = !takes_value ? "" : equals ? equals + 1 : argv[++*i];
    if (own >= 0) {
        l->ctl.values[own] = value;
        l->ctl.given[l->ctl.given_count++] = (struct given_option){own, value};
    } else if (strcmp(name, "config") == 0) {
        l->config = value;
    } else {
        l->sets[l->set_count++] = value;
    }
    return 0;
}

static int read_line(struct line *l, int argc, char **argv, int words, struct err *e)
{
    bool only_arguments = false;
    int rc = 0;
    for (int i = words + 1; i < argc && !rc; i++) {
        if (!only_arguments && strcmp(argv[i], "--") == 0)
            only_arguments = true;
        else if (!only_arguments && strncmp(argv[i], "--", 2) == 0)
            rc = read_option(l, argc, argv, &i, e);
        else
            l->ctl.args[l->ctl.arg_count++] = argv[i];
    }
    const struct command *c = l->ctl.command;
    if (!rc && !l->help && (l->ctl.arg_count < c->least || l->ctl.arg_count > c->most))
        rc = err_set(e, ERR_INVALID, "usage: flotilla %s%s%s (see --help)", c->name,
                     *c->arguments ? " " : "", c->arguments);
    return rc;
}

static int warn_of_open_file(void *arg, const char *name, const char *path)
{
    const struct command *c = arg;
    fprintf(stderr,
            "flotilla %s: warning: %s_file: others than its owner may read %s: chmod 600 it\n",
            c->name, name, path);
    return 0;
}

static int load_conf(struct line *l, struct err *e)
{
    enum log_level level;
    int rc = conf_new(&l->conf, e);
    if (!rc && l->config)
        rc = conf_load_file(l->conf, l->config, e);
    if (!rc)
        rc = conf_load_environment(l->conf, environ, e);
    for (int i = 0; i < l->set_count && !rc; i++)
        rc = conf_set(l->conf, l->sets[i], e);
    if (!rc && !(rc = log_level_parse(&level, conf_text(l->conf, "log.level"), e)))
        log_init("ctl", "",
                 level == LOG_LEVEL_INFO ? LOG_LEVEL_OFF : level); /* a person reads along */
    if (!rc)
        conf_each_open_file(l->conf, warn_of_open_file, (void *)(uintptr_t)l->ctl.command);
    return rc;
}

static enum ctl_status run(struct line *l, int argc, char **argv, int words, struct err *e)
{
    if (read_line(l, argc, argv, words, e))
        return CTL_USAGE;
    if (l->help) {
        print_command(l->ctl.command);
        return CTL_OK;
    }
    if (failpoint_start(e) || load_conf(l, e))
        return CTL_USAGE;
    l->ctl.conf = l->conf;
    if (codec_new(&l->codec, l->conf, NULL, e))
        return CTL_USAGE;
    l->ctl.codec = l->codec;
    return l->ctl.command->run(&l->ctl, e);
}

/* What is asked for without a command. */
static int without_command(int argc, char **argv)
{
    const char *first = argc > 1 ? argv[1] : "";
    struct buf b = {0};
    if (strcmp(first, "--version") == 0) {
        printf("flotilla %s%s\n", FLOTILLA_VERSION, failpoint_build());
    } else if (strcmp(first, "--help-settings") == 0) {
        conf_reference(&b);
        fwrite(b.data, 1, b.len, stdout);
        buf_free(&b);
    } else if (strcmp(first, "--help") == 0 || strcmp(first, "help") == 0) {
        print_commands(stdout);
    } else {
        if (*first)
            fprintf(stderr, "flotilla: there is no command \"%s%s%s\"\n\n", first,
                    argc > 2 ? " " : "", argc > 2 ? argv[2] : "");
        print_commands(stderr);
        return CTL_USAGE;
    }
    return CTL_OK;
}

int main(int argc, char **argv)
{
    struct line l = {0};
    struct err e = {0};
    int words;
    ctl_catch_signals();
    l.ctl.command = find_command(argc, argv, &words);
    if (!l.ctl.command)
        return without_command(argc, argv);
    l.sets = calloc((size_t)argc, sizeof *l.sets);
    l.ctl.args = calloc((size_t)argc, sizeof *l.ctl.args);
    l.ctl.given = calloc((size_t)argc, sizeof *l.ctl.given);
    enum ctl_status status = CTL_FAILED;
    if (l.sets && l.ctl.args && l.ctl.given)
        status = run(&l, argc, argv, words, &e);
    else
        err_nomem(&e);
    if (e.code && *e.msg)
        fprintf(stderr, "flotilla %s: %s\n", l.ctl.command->name, e.msg);
    codec_free(l.codec);
    conf_free(l.conf);
    free(l.sets);
    free(l.ctl.args);
    free(l.ctl.given);
    return (int)status;
}
