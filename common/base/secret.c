#include "base/secret.h"

#include "base/file.h"

#include <stdio.h>
#include <sys/stat.h>

/* Parts of the names of settings that are secret as a whole. */
static const char *const words[] = {
    "password", "passphrase",         "secret",    "credential", "token", "ssl.key.pem",
    "jaas",     "oauthbearer.config", "user.info",
};

static const char file_suffix[] = "_file";

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n > k && strcmp(text + n - k, end) == 0;
}

static bool is_url(const char *name)
{
    return ends_with(name, "url") || ends_with(name, "urls");
}

static bool is_whole(const char *name)
{
    if (ends_with(name, file_suffix))
        return false; /* a path */
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(name, words[i]))
            return !is_url(name);
    return false;
}

bool secret_is_setting(const char *name)
{
    return is_url(name) || is_whole(name);
}

/* Parameters of a URL may be written with %, "p%61ssword" is one of libpq's. */
static bool has_encoded_parameter(const char *url)
{
    for (const char *at = strpbrk(url, "?&"); at; at = strpbrk(at + 1, "?&"))
        if (at[1 + strcspn(at + 1, "%=&")] == '%')
            return true;
    return false;
}

/* Behind the scheme; clients forgive one slash too few or too many. NULL: it has none. */
static const char *behind_scheme(const char *url)
{
    const char *scheme = strstr(url, ":/");
    return scheme ? scheme + 1 + strspn(scheme + 1, "/") : NULL;
}

/* The user part of a URL stands before its last @: a password may have one in it that should have
 * been written %40, and there may be several URLs. Without a colon it is a user's name in
 * PostgreSQL; elsewhere it may well be a token. *from and *to: what is to be hidden. */
static bool find_user_part(const char *url, const char **from, const char **to)
{
    const char *start = behind_scheme(url), *first = start ? strchr(start, '@') : NULL;
    if (!first)
        return false;
    const char *colon = memchr(start, ':', (size_t)(first - start));
    *from = colon ? colon + 1 : start;
    *to = strrchr(url, '@');
    return colon || strncmp(url, "postgres", 8) != 0 ||
           memchr(first + 1, '@', strcspn(first + 1, "?"));
}

static bool is_wholly_secret(const char *name, const char *value)
{
    return is_whole(name) || strstr(value, "PRIVATE KEY-----") ||
           (is_url(name) && (strstr(value, "password") || has_encoded_parameter(value)));
}

bool secret_is_in(const char *name, const char *value)
{
    const char *from, *to;
    return *value &&
           (is_wholly_secret(name, value) || (is_url(name) && find_user_part(value, &from, &to)));
}

void secret_mask(struct buf *out, const char *name, const char *value)
{
    const char *from, *to;
    if (!secret_is_in(name, value))
        buf_put_text(out, value);
    else if (!is_wholly_secret(name, value) && find_user_part(value, &from, &to))
        buf_printf(out, "%.*s***%s", (int)(from - value), value, to);
    else
        buf_put_text(out, "***");
}

bool secret_is_file_of(char *out, size_t size, const char *name)
{
    if (!ends_with(name, file_suffix))
        return false;
    snprintf(out, size, "%.*s", (int)(strlen(name) - strlen(file_suffix)), name);
    return secret_is_setting(out);
}

int secret_read(struct buf *out, const char *path, bool *is_open, struct err *e)
{
    struct stat s;
    size_t start = out->len;
    *is_open = stat(path, &s) == 0 && s.st_mode & (S_IRWXG | S_IRWXO);
    int rc = file_read(out, path, SECRET_FILE_MAX_BYTES, e);
    if (rc)
        return rc;
    if (out->len > start && out->data[out->len - 1] == '\n')
        out->len--;
    if (out->len > start && out->data[out->len - 1] == '\r')
        out->len--;
    if (out->len == start)
        return err_set(e, ERR_INVALID, "%s is empty", path);
    if (memchr(out->data + start, 0, out->len - start))
        return err_set(e, ERR_INVALID, "%s has a zero byte in it", path);
    return 0;
}
