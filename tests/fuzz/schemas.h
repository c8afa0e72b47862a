/*
 * Schemas that fuzz_decode knows by number: all types, and pairs of which one reads the other.
 * None has items of no bytes, of which a few bytes may announce millions: that is slow.
 * Numbers are what inputs are made of: new ones go behind the last.
 */
#pragma once

#define NODE                                                                                       \
    "{\"type\":\"record\",\"name\":\"Node\",\"fields\":[{\"name\":\"value\",\"type\":\"long\"},"   \
    "{\"name\":\"next\",\"type\":[\"null\",\"Node\"]}]}"
#define EVENT                                                                                      \
    "{\"type\":\"record\",\"name\":\"Event\",\"namespace\":\"flotilla\",\"fields\":["              \
    "{\"name\":\"event_id\",\"type\":\"string\"},{\"name\":\"timestamp\",\"type\":\"long\"},"      \
    "{\"name\":\"propositions\",\"type\":{\"type\":\"array\",\"items\":\"string\"},"               \
    "\"default\":[]},{\"name\":\"value\",\"type\":[\"null\",\"double\"],\"default\":null},"        \
    "{\"name\":\"context\",\"type\":{\"type\":\"map\",\"values\":\"string\"},\"default\":{}}]}"
#define EVENT_BEFORE                                                                               \
    "{\"type\":\"record\",\"name\":\"shop.Event\",\"fields\":["                                    \
    "{\"name\":\"gone\",\"type\":{\"type\":\"map\",\"values\":[\"bytes\",\"float\"]}},"            \
    "{\"name\":\"timestamp\",\"type\":\"int\"},{\"name\":\"value\",\"type\":\"float\"},"           \
    "{\"name\":\"event_id\",\"type\":[\"bytes\",\"string\"]}]}"
#define ATTRIBUTES                                                                                 \
    "{\"type\":\"map\",\"values\":[\"null\",\"boolean\",\"double\",\"string\","                    \
    "{\"type\":\"array\",\"items\":\"string\"}]}"
#define DEFAULTS                                                                                   \
    "{\"type\":\"record\",\"name\":\"D\",\"fields\":["                                             \
    "{\"name\":\"n\",\"type\":\"null\",\"default\":null},"                                         \
    "{\"name\":\"b\",\"type\":\"boolean\",\"default\":true},"                                      \
    "{\"name\":\"i\",\"type\":\"int\",\"default\":-1},"                                            \
    "{\"name\":\"f\",\"type\":\"float\",\"default\":0.1},"                                         \
    "{\"name\":\"y\",\"type\":\"bytes\",\"default\":\"\\u00ff\"},"                                 \
    "{\"name\":\"s\",\"type\":\"string\",\"default\":\"\\u00e4\"},"                                \
    "{\"name\":\"x\",\"type\":{\"type\":\"fixed\",\"name\":\"X\",\"size\":2},\"default\":\"ab\"}," \
    "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]},"       \
    "\"default\":\"B\"},"                                                                          \
    "{\"name\":\"a\",\"type\":{\"type\":\"array\",\"items\":[\"null\",\"E\"]},"                    \
    "\"default\":[null,\"A\"]},"                                                                   \
    "{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":\"X\"},\"default\":{\"k\":\"cd\"}},"    \
    "{\"name\":\"r\",\"type\":{\"type\":\"record\",\"name\":\"I\",\"fields\":["                    \
    "{\"name\":\"z\",\"type\":\"long\",\"default\":7}]},\"default\":{}}]}"

static const char *const fuzz_schemas[] = {
    "\"null\"",
    "\"boolean\"",
    "\"int\"",
    "\"long\"",
    "\"float\"",
    "\"double\"",
    "\"bytes\"",
    "\"string\"",
    "{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}",
    "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\",\"C\"]}",
    "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"C\",\"D\"],\"default\":\"D\"}",
    "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"C\"]}",
    "{\"type\":\"array\",\"items\":\"int\"}",
    "{\"type\":\"array\",\"items\":\"double\"}",
    "{\"type\":\"map\",\"values\":\"bytes\"}",
    "{\"type\":\"map\",\"values\":\"string\"}",
    "[\"null\",\"int\"]",
    "[\"long\",\"null\",\"string\"]",
    "[\"float\",\"bytes\",{\"type\":\"array\",\"items\":\"long\"}]",
    NODE,
    "[\"null\"," NODE "]",
    "{\"type\":\"record\",\"name\":\"Node\",\"fields\":[{\"name\":\"next\",\"type\":[\"Node\","
    "\"null\"],\"default\":null},{\"name\":\"number\",\"aliases\":[\"value\"],\"type\":"
    "\"double\"}]}",
    EVENT,
    EVENT_BEFORE,
    ATTRIBUTES,
    "{\"type\":\"map\",\"values\":[\"int\",\"bytes\"]}",
    "{\"type\":\"record\",\"name\":\"D\",\"fields\":[]}",
    DEFAULTS,
    "{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":{\"type\":\"map\",\"values\":"
    "\"null\"}}}",
    "{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"kids\",\"type\":{\"type\":"
    "\"array\",\"items\":\"T\"}},{\"name\":\"named\",\"type\":{\"type\":\"map\",\"values\":"
    "[\"null\",\"T\"]},\"default\":{}}]}",
    "{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"kids\",\"type\":{\"type\":"
    "\"array\",\"items\":\"T\"}}]}",
};

enum { FUZZ_SCHEMAS = sizeof fuzz_schemas / sizeof *fuzz_schemas };
