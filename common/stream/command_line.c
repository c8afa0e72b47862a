#include "stream/command_line.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "stream/kafka.h"

#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { USAGE = 2 };

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"set", required_argument, NULL, 's'},
    {"check", no_argument, NULL, 'k'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'v'},
    {"help-settings", no_argument, NULL, 'l'},
    {NULL, 0, NULL, 0},
};

/* What is asked for. */
struct request {
    const char *config;
    bool check;
    bool done; /* printed already */
    int problems;
};

static void print_help(const struct worker *w)
{
    printf("flotilla-%s: %s\n"
           "\n"
           "usage: flotilla-%s [--config FILE] [--set NAME=VALUE]...\n"
           "  --config FILE      read settings from this YAML file\n"
           "  --set NAME=VALUE   one setting; stronger than the environment "
           "(FLOTILLA_KAFKA_BROKERS=...),\n"
           "                     which is stronger than the file\n"
           "  --check            validate everything, print the effective configuration, and end\n"
           "  --help-settings    all settings with their meaning and default\n"
           "  --version, --help\n"
           "\n"
           "example: flotilla-%s --set kafka.brokers=127.0.0.1:9092 --set http.port=8080\n"
           "\n"
           "SIGTERM and SIGINT let it finish and commit what it has read.\n"
           "Exit status: 0 ended as asked, 1 fatal error (see the log on standard error), 2 wrong "
           "usage or configuration.\n",
           w->name, w->purpose, w->name, w->name);
}

static void print_buf(struct buf *b)
{
    if (b->len)
        fwrite(b->data, 1, b->len, stdout);
    buf_free(b);
}

static void complain(const struct worker *w, struct request *r, const char *what)
{
    fprintf(stderr, "flotilla-%s: %s\n", w->name, what);
    r->problems++;
}

/* On standard error, as a worker that runs says it in its log. */
static int warn_of_open_file(void *arg, const char *name, const char *path)
{
    const struct worker *w = arg;
    fprintf(stderr,
            "flotilla-%s: warning: %s_file: others than its owner may read %s: chmod 600 it\n",
            w->name, name, path);
    return 0;
}

/* The first pass: everything but --set, which has to come after file and environment. */
static void read_options(struct request *r, const struct worker *w, int argc, char **argv)
{
    char text[256];
    struct buf b = {0};
    int option;
    opterr = 0;
    optind = 1;
    while (!r->done && (option = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
        r->done = option == 'h' || option == 'v' || option == 'l';
        if (option == 'c')
            r->config = optarg;
        else if (option == 'k')
            r->check = true;
        else if (option == 'h')
            print_help(w);
        else if (option == 'v')
            printf("flotilla-%s %s%s\n", w->name, FLOTILLA_VERSION, failpoint_build());
        else if (option == 'l')
            conf_reference(&b);
        else if (option != 's') {
            /* Without what stands behind "=", which may be a secret. */
            snprintf(text, sizeof text,
                     option == ':' ? "%.*s needs a value: see --help"
                                   : "unknown option %.*s: see --help",
                     (int)strcspn(argv[optind - 1], "="), argv[optind - 1]);
            complain(w, r, text);
        }
    }
    print_buf(&b);
    if (!r->done && optind < argc) {
        snprintf(text, sizeof text, "argument %d is no option: see --help", optind);
        complain(w, r, text);
    }
}

static void load(struct request *r, struct conf *c, const struct worker *w, int argc, char **argv)
{
    struct err e = {0};
    int option;
    if (r->config && conf_load_file(c, r->config, &e))
        complain(w, r, e.msg);
    if (conf_load_environment(c, environ, &e))
        complain(w, r, e.msg);
    optind = 1;
    while ((option = getopt_long(argc, argv, "+:", options, NULL)) != -1)
        if (option == 's' && conf_set(c, optarg, &e))
            complain(w, r, e.msg);
}

/* What can only be known of all settings together. */
static void check(struct request *r, const struct conf *c, const struct worker *w)
{
    struct err e = {0};
    enum log_level level;
    if (log_level_parse(&level, conf_text(c, "log.level"), &e))
        complain(w, r, e.msg);
    rd_kafka_conf_t *k = NULL;
    if (kafka_conf_new(&k, c, KAFKA_CONSUMER, &e))
        complain(w, r, e.msg);
    else
        rd_kafka_conf_destroy(k);
    struct codec *codec = NULL;
    if (codec_new(&codec, c, NULL, &e))
        complain(w, r, e.msg);
    codec_free(codec);
    if (w->check && w->check(c, &e))
        complain(w, r, e.msg);
}

void command_line_read(struct conf **out, int *status, const struct worker *w, int argc,
                       char **argv)
{
    struct request r = {0};
    struct conf *c = NULL;
    struct buf b = {0};
    struct err e = {0};
    *out = NULL;
    read_options(&r, w, argc, argv);
    if (!r.done && !r.problems && conf_new(&c, &e))
        complain(w, &r, e.msg);
    if (c) {
        load(&r, c, w, argc, argv);
        check(&r, c, w);
    }
    if (c && !r.problems && r.check) {
        conf_each_open_file(c, warn_of_open_file, (void *)(uintptr_t)w);
        conf_print(c, &b);
        print_buf(&b);
    }
    *status = r.problems ? USAGE : 0;
    if (!r.problems && !r.done && !r.check)
        *out = c;
    else
        conf_free(c);
}
