#include "state/log_record.h"

#include "feature/apply.h"
#include "stream/dead_letter.h"

static int unusable(const char **reason, const char *why, struct err *e, const char *detail)
{
    *reason = why;
    return err_set(e, ERR_SCHEMA, "%s", detail);
}

static int wrong_key(const char **reason, struct str key, const char *field, struct str id,
                     struct err *e)
{
    *reason = DEAD_INVALID_VALUE;
    return err_set(e, ERR_SCHEMA, "the key is \"%.*s\", the %s is \"%.*s\": they must be equal",
                   STR_ARG(key), field, STR_ARG(id));
}

int log_record_event(struct event *out, int64_t *time_ms, const char **reason, struct codec *codec,
                     const struct input *in, int64_t max_clock_skew_ms, struct arena *a,
                     struct err *e)
{
    if (!in->key.data)
        return unusable(reason, DEAD_MISSING_KEY, e,
                        "the record has no key: the key is the user_id");
    if (!in->value.data)
        return unusable(reason, DEAD_INVALID_VALUE, e,
                        "the record has no value: an event cannot be removed");
    int rc = codec_decode(codec, out, &event_type, in->value, a, e);
    *reason = dead_letter_reason(rc);
    if (rc)
        return rc;
    if (!str_equal(in->key, out->user_id))
        return wrong_key(reason, in->key, "user_id", out->user_id, e);
    int64_t kafka_ms = in->timestamp_ms == -1 ? APPLY_NO_TIME : in->timestamp_ms;
    return apply_check(out, kafka_ms, max_clock_skew_ms, time_ms, reason, e);
}

int log_record_entity(struct entity *out, const char **reason, struct codec *codec,
                      const struct input *in, struct arena *a, struct err *e)
{
    int rc = codec_decode(codec, out, &entity_type, in->value, a, e);
    *reason = dead_letter_reason(rc);
    if (rc)
        return rc;
    if (!str_equal(in->key, out->id))
        return wrong_key(reason, in->key, "id", out->id, e);
    *reason = DEAD_INVALID_VALUE;
    return entity_check(out, e);
}
